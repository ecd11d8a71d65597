"""How numbers become colours: palettes and alpha bands of 16 bits, complex numbers, and one stretch for a tileset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from streaming.tiles.change_feed import EVERYTHING
from streaming.tiles.source_files import SourceFiles
from streaming.tiles.sources.raster import RasterOptions, RasterSource
from streaming.tiles.tilesets import TilesetSettings

from .conftest import plain, write_raster

INSIDE = (5, 16, 10)  # 0..11.25 E, 48.9..55.8 N
WEST, EAST = (0.0, 40.0, 5.0, 60.0), (5.0, 40.0, 20.0, 60.0)


def pixels(*paths: Path, painted: tuple[Path, ...] = (), **options: Any) -> Any:
    source = RasterSource(paths, RasterOptions(**options), painted)
    found = source.pixels(*INSIDE)
    source.close()
    return found


def halves(west: Any, east: Any, dtype: str) -> Any:
    """One band with a value in the west and another in the east of the tile; or several bands."""
    values = np.zeros((len(west), 64, 64), dtype)
    values[:, :, :18] = np.array(west).reshape(-1, 1, 1)
    values[:, :, 18:] = np.array(east).reshape(-1, 1, 1)
    return values


def west_and_east(found: Any) -> tuple[list[int], list[int]]:
    return found[:, 128, 40].tolist(), found[:, 128, 220].tolist()


def test_a_palette_of_16_bits_has_all_its_colours(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", halves([300], [1000], "uint16"), photometric="PALETTE")
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {255: (255, 255, 0, 255), 300: (0, 255, 0, 255), 1000: (0, 0, 255, 255)})
    with rasterio.open(path) as dataset:  # as GDAL reads it
        colours = [list(dataset.colormap(1)[value]) for value in (300, 1000)]
    assert list(west_and_east(pixels(path))) == colours == [[0, 255, 0, 255], [0, 0, 255, 255]]


def test_numbers_without_a_colour_are_transparent(tmp_path: Path) -> None:
    """A palette in an `.aux.xml` may be shorter than the numbers."""
    path = write_raster(tmp_path / "a.tif", halves([1], [200], "uint8"))
    path.with_name("a.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><ColorInterp>Palette</ColorInterp><ColorTable>'
        '<Entry c1="9" c2="9" c3="9" c4="255"/><Entry c1="1" c2="2" c3="3" c4="255"/></ColorTable></PAMRasterBand></PAMDataset>'
    )
    with rasterio.open(path) as dataset:
        assert dataset.colorinterp[0] == ColorInterp.palette
    assert west_and_east(pixels(path)) == ([1, 2, 3, 255], [0, 0, 0, 0])


@pytest.mark.parametrize(("dtype", "scale"), [("uint8", 1), ("uint16", 257)])
def test_an_alpha_band_keeps_its_steps(tmp_path: Path, dtype: str, scale: int) -> None:
    values = halves([9, 9, 9, 64 * scale], [9, 9, 9, 128 * scale], dtype)
    found = pixels(write_raster(tmp_path / "a.tif", values, photometric="RGB", alpha="YES"))
    assert [colour[3] for colour in west_and_east(found)] == [64, 128]


def test_16384_of_65535_is_64_of_255(tmp_path: Path) -> None:
    values = halves([9, 9, 9, 16384], [9, 9, 9, 32768], "uint16")
    found = pixels(write_raster(tmp_path / "a.tif", values, photometric="RGB", alpha="YES"))
    assert [colour[3] for colour in west_and_east(found)] == [64, 128]


def test_colours_in_another_order_are_found(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", plain(1, 2, 3, 4, 5), photometric="MINISBLACK")
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.undefined, ColorInterp.blue, ColorInterp.green, ColorInterp.undefined, ColorInterp.red]
    assert west_and_east(pixels(path))[0] == [5, 3, 2, 255]


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "complex_int16"])
def test_of_complex_numbers_the_magnitude_is_shown(tmp_path: Path, dtype: str) -> None:
    values = halves([3 + 4j], [0 - 10j], "complex64")
    if dtype != "complex_int16":
        values = values.astype(dtype)
        path = write_raster(tmp_path / "a.tif", values)
    else:
        path = tmp_path / "a.tif"
        profile = {"driver": "GTiff", "count": 1, "height": 64, "width": 64, "crs": "EPSG:4326", "dtype": dtype}
        with rasterio.open(path, "w", transform=rasterio.transform.from_bounds(0, 40, 20, 60, 64, 64), **profile) as dataset:
            dataset.write(values)
    assert west_and_east(pixels(path, rescale=((0, 20),))) == ([64, 64, 64, 255], [128, 128, 128, 255])
    low, high = west_and_east(pixels(path))  # stretched
    assert (low[0], high[0]) == (0, 255)


def slope(low: float, high: float, dtype: str = "float32") -> Any:
    """Values that rise from north to south."""
    return np.linspace(low, high, 64).astype(dtype).reshape(1, 64, 1).repeat(64, axis=2)


def seam(found: Any) -> Any:
    """The greys on both sides of 5 degrees east."""
    column = round(5 / 11.25 * 256)
    return found[0, :, column - 3].astype(int), found[0, :, column + 3].astype(int)


def test_files_of_a_mosaic_have_one_stretch(tmp_path: Path) -> None:
    """The same values lie on both sides of the seam, but one file has many others beside them."""
    values = slope(0, 1000)
    more = np.concatenate([values[:, :, :32], np.full((1, 64, 32), 5000, "float32")], axis=2)
    found = pixels(write_raster(tmp_path / "a.tif", values, WEST), write_raster(tmp_path / "b.tif", more, EAST))
    west, east = seam(found)
    assert west.max() > 20
    assert np.abs(west - east).max() <= 2


def test_the_shared_stretch_is_what_most_values_of_all_files_lie_between(tmp_path: Path) -> None:
    first, second = slope(0, 100), slope(100, 1000)
    a, b = write_raster(tmp_path / "a.tif", first, WEST), write_raster(tmp_path / "b.tif", second, EAST)
    low, high = np.percentile(np.concatenate([first, second]), (2, 98))
    assert np.array_equal(pixels(a, b), pixels(a, b, rescale=((float(low), float(high)),)))


def test_bytes_beside_other_numbers_are_stretched_too(tmp_path: Path) -> None:
    west, east = seam(
        pixels(write_raster(tmp_path / "a.tif", slope(0, 100, "uint8"), WEST), write_raster(tmp_path / "b.tif", slope(0, 100), EAST))
    )
    assert west.max() > 20
    assert np.abs(west - east).max() <= 4  # bytes are rounded


def test_a_mosaic_of_bytes_is_shown_as_it_is(tmp_path: Path) -> None:
    found = pixels(write_raster(tmp_path / "a.tif", plain(7), WEST), write_raster(tmp_path / "b.tif", plain(200), EAST))
    assert [side[128] for side in seam(found)] == [7, 200]


def test_a_painted_image_has_the_stretch_of_the_files(tmp_path: Path) -> None:
    """All of its values are 500, which is in the middle of the file's."""
    base = write_raster(tmp_path / "a.tif", slope(0, 1000))
    image = write_raster(tmp_path / "b.tif", np.full((1, 64, 64), 500, "float32"), WEST)
    alone, found = pixels(base), pixels(base, painted=(image,))
    west, east = seam(found)
    assert set(west) <= {127, 128}
    assert np.array_equal(east, seam(alone)[1])  # what is not painted stays as it was


def test_a_painted_image_of_other_bands_is_shown_by_itself(tmp_path: Path) -> None:
    base = write_raster(tmp_path / "a.tif", slope(0, 1000))
    assert west_and_east(pixels(base, painted=(write_raster(tmp_path / "b.tif", plain(200, 10, 0), WEST),)))[0] == [200, 10, 0, 255]


def test_other_values_in_one_file_change_the_look_of_all(data_dir: Path) -> None:
    write_raster(data_dir / "a.tif", slope(0, 100), WEST)
    write_raster(data_dir / "b.tif", slope(0, 100), EAST)
    files = SourceFiles(TilesetSettings("some", "some", "raster", ("a.tif", "b.tif")))
    fixed = SourceFiles(TilesetSettings("some", "some", "raster", ("a.tif", "b.tif"), rescale="0,100"))
    write_raster(data_dir / "b.tif", slope(0, 1000), EAST)
    assert files.take_change([]) == EVERYTHING
    area = fixed.take_change([])
    assert area is not None and area.box == pytest.approx(EAST)
