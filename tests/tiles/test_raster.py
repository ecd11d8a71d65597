"""Rasters of every kind become red, green, blue and alpha; damaged ones are refused."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile
from rasterio.transform import from_bounds

from streaming.core.errors import StreamError
from streaming.tiles.sources.raster import RasterOptions, RasterSource

from .conftest import EUROPE, damage, plain, truncate, write_raster

INSIDE = (5, 16, 10)  # 0..11.25 E, 48.9..55.8 N
EDGE = (3, 4, 2)
OUTSIDE = (5, 0, 0)


def middle(source: RasterSource, place: tuple[int, int, int] = INSIDE) -> list[int]:
    pixels = source.pixels(*place)
    assert pixels is not None
    return [int(value) for value in pixels[:, 128, 128]]


@pytest.fixture
def opened() -> Any:
    """Opens rasters, and closes them in the end."""
    sources: list[RasterSource] = []

    def open_raster(*paths: Path, **options: Any) -> RasterSource:
        sources.append(RasterSource(paths, RasterOptions(**options)))
        return sources[-1]

    yield open_raster
    for source in sources:
        source.close()


Opened = Callable[..., RasterSource]


def test_a_tile_has_the_colours_of_the_file(tmp_path: Path, opened: Opened) -> None:
    source = opened(write_raster(tmp_path / "a.tif", plain(10, 20, 30)))
    assert middle(source) == [10, 20, 30, 255]
    assert source.metadata.bounds == pytest.approx(EUROPE)
    assert source.render(*OUTSIDE) is None


def test_beyond_the_files_edge_it_is_transparent(tmp_path: Path, opened: Opened) -> None:
    pixels = opened(write_raster(tmp_path / "a.tif", plain(10, 20, 30))).pixels(*EDGE)
    assert pixels is not None
    assert set(np.unique(pixels[3])) == {0, 255}
    assert not pixels[:3, pixels[3] == 0].any()


def test_the_highest_zoom_loses_no_detail(tmp_path: Path, opened: Opened) -> None:
    assert opened(write_raster(tmp_path / "a.tif", plain(1))).metadata.max_zoom == 3  # 20/64 degrees a pixel, 360/256/2^3 = 0.18


@pytest.mark.parametrize(("format", "magic"), [("png", b"\x89PNG"), ("webp", b"RIFF"), ("jpg", b"\xff\xd8")])
@pytest.mark.parametrize("size", [256, 512])
def test_tiles_come_in_formats_and_sizes(tmp_path: Path, opened: Opened, format: str, magic: bytes, size: int) -> None:
    data = opened(write_raster(tmp_path / "a.tif", plain(10, 20, 30)), format=format, tile_size=size).render(*EDGE)
    assert data is not None and data.startswith(magic)
    with MemoryFile(data) as file, file.open() as image:
        assert (image.width, image.height) == (size, size)


@pytest.mark.parametrize(("crs", "bounds"), [("EPSG:3857", (0, 4.9e6, 2.2e6, 8.3e6)), ("EPSG:32632", (0, 4.4e6, 1e6, 6.6e6))])
def test_any_reference_system_will_do(tmp_path: Path, opened: Opened, crs: str, bounds: tuple[float, ...]) -> None:
    assert middle(opened(write_raster(tmp_path / "a.tif", plain(10, 20, 30), bounds, crs))) == [10, 20, 30, 255]


def test_one_band_is_grey(tmp_path: Path, opened: Opened) -> None:
    assert middle(opened(write_raster(tmp_path / "a.tif", plain(77)))) == [77, 77, 77, 255]


def test_of_many_bands_the_first_three_are_shown(tmp_path: Path, opened: Opened) -> None:
    assert middle(opened(write_raster(tmp_path / "a.tif", plain(1, 2, 3, 4, 5), photometric="MINISBLACK")))[:3] == [1, 2, 3]


def test_an_alpha_band_makes_it_transparent(tmp_path: Path, opened: Opened) -> None:
    path = write_raster(tmp_path / "a.tif", plain(10, 20, 30, 0), photometric="RGB", alpha="YES")
    assert opened(path).render(*INSIDE) is None


def test_nodata_is_transparent(tmp_path: Path, opened: Opened) -> None:
    assert opened(write_raster(tmp_path / "a.tif", plain(9), nodata=9)).render(*INSIDE) is None


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64", "int32"])
def test_other_numbers_are_stretched(tmp_path: Path, opened: Opened, dtype: str) -> None:
    heights = np.full((1, 64, 64), 500, dtype)
    assert middle(opened(write_raster(tmp_path / "a.tif", heights), rescale=((0, 1000),))) == [128, 128, 128, 255]


def test_without_a_range_what_most_values_lie_between_is_used(tmp_path: Path, opened: Opened) -> None:
    heights = np.linspace(0, 4000, 64, dtype="float32").repeat(64).reshape(1, 64, 64).transpose(0, 2, 1)
    pixels = opened(write_raster(tmp_path / "a.tif", heights)).pixels(*EDGE)
    assert pixels is not None
    assert (pixels[0].min(), pixels[0].max()) == (0, 255)


def test_what_is_no_number_is_transparent(tmp_path: Path, opened: Opened) -> None:
    assert opened(write_raster(tmp_path / "a.tif", np.full((1, 64, 64), np.nan, "float32"))).render(*INSIDE) is None


def test_a_colormap_gives_one_band_its_colours(tmp_path: Path, opened: Opened) -> None:
    assert middle(opened(write_raster(tmp_path / "a.tif", plain(0)), colormap="viridis")) == [68, 1, 84, 255]


def test_a_files_own_palette_is_used(tmp_path: Path, opened: Opened) -> None:
    path = write_raster(tmp_path / "a.tif", plain(7), photometric="PALETTE")
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {7: (200, 100, 50, 255)})
        assert dataset.colorinterp[0] == ColorInterp.palette
    assert middle(opened(path)) == [200, 100, 50, 255]


def test_later_files_of_a_mosaic_are_on_top(tmp_path: Path, opened: Opened) -> None:
    below = write_raster(tmp_path / "a.tif", plain(10, 20, 30))
    above = write_raster(tmp_path / "b.tif", plain(200, 0, 0), (0.0, 40.0, 5.0, 60.0))
    pixels = opened(below, above).pixels(*INSIDE)
    assert pixels is not None
    assert pixels[:, 128, 60].tolist() == [200, 0, 0, 255]
    assert pixels[:, 128, 200].tolist() == [10, 20, 30, 255]


def test_the_same_tile_has_the_same_bytes(tmp_path: Path, opened: Opened, noise: Any) -> None:
    path = write_raster(tmp_path / "a.tif", noise)
    assert opened(path).render(*EDGE) == opened(path).render(*EDGE)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # from writing it
def test_an_image_without_reference_system_is_refused(tmp_path: Path) -> None:
    _refused(write_raster(tmp_path / "a.tif", plain(1), crs=None), "no coordinate reference system")


@pytest.mark.parametrize("spoil", [truncate, damage])
def test_a_damaged_file_is_refused(tmp_path: Path, noise: Any, spoil: Callable[[Path], Path]) -> None:
    _refused(spoil(write_raster(tmp_path / "a.tif", noise, compress="deflate", tiled=True, blockxsize=64, blockysize=64)), "a.tif")


@pytest.mark.parametrize("content", [b"", b"not a picture", b"II*\x00" + bytes(100)])
def test_a_file_that_is_no_geotiff_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    _refused(tmp_path / "a.tif", "a.tif")


@pytest.mark.parametrize("keep", [0.9, 0.0])
def test_a_refusal_names_the_file_once_and_no_folder(tmp_path: Path, noise: Any, keep: float) -> None:
    path = truncate(write_raster(tmp_path / "a.tif", noise), keep)
    with pytest.raises(StreamError) as caught:
        RasterSource([path])
    message = caught.value.message
    assert (message[:7], message.count("a.tif"), str(tmp_path) in message) == ("a.tif: ", 1, False)
    assert ("it is damaged or cut off" if keep else "not recognized") in message


def test_a_small_file_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": "EPSG:4326", "sparse_ok": True, "compress": "deflate"}
    transform = from_bounds(*EUROPE, 16384, 16384)
    with rasterio.open(
        tmp_path / "a.tif", "w", height=16384, width=16384, transform=transform, tiled=True, blockxsize=16384, blockysize=16384, **profile
    ):
        pass
    _refused(tmp_path / "a.tif", "too large")


@pytest.mark.parametrize("kind", [1, 4], ids=["overview", "mask"])
def test_an_overview_or_mask_that_unpacks_to_too_much_is_refused(tmp_path: Path, kind: int) -> None:
    path = write_raster(tmp_path / "a.tif", plain(1, size=256))
    _append_picture(path, kind, side=1 << 14)
    _refused(path, "too large")


def test_an_image_of_a_great_many_blocks_is_opened_at_once(tmp_path: Path, opened: Opened) -> None:
    path = _sparse(tmp_path / "a.tif", 64, 1 << 20, blockysize=1)  # 1,048,576 blocks
    began = time.process_time()
    opened(path)
    assert time.process_time() - began < 2  # listing them takes five


def test_a_large_image_without_overviews_is_refused(tmp_path: Path) -> None:
    path = _sparse(tmp_path / "a.tif", 100_000, 100_000, tiled=True, blockxsize=1024, blockysize=1024)
    assert path.stat().st_size < 400_000
    _refused(path, "gdaladdo")


def test_a_large_image_with_overviews_is_taken(tmp_path: Path, opened: Opened) -> None:
    path = _sparse(tmp_path / "a.tif", 9000, 9000, tiled=True, blockxsize=512, blockysize=512)
    _refused(path, "gdaladdo")
    _add_overviews(path, 2)
    assert opened(path).render(*EDGE) is not None


def test_overviews_that_are_far_too_coarse_do_not_help(tmp_path: Path) -> None:
    path = _sparse(tmp_path / "a.tif", 9000, 9000, tiled=True, blockxsize=512, blockysize=512)
    _add_overviews(path, 64)
    _refused(path, "times as coarse")


@pytest.mark.parametrize("elsewhere", ["{folder}/other.tif", "/vsicurl/http://127.0.0.1:9/other.tif"])
def test_an_image_that_names_its_overviews_elsewhere_is_refused(tmp_path: Path, elsewhere: str) -> None:
    write_raster(tmp_path / "other.tif", plain(1, size=32))
    path = write_raster(tmp_path / "a.tif", plain(1, size=64))
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=elsewhere.format(folder=tmp_path))
    _refused(path, "names another file or address")


def test_formats_that_refer_elsewhere_are_refused(tmp_path: Path) -> None:
    write_raster(tmp_path / "a.tif", plain(1))
    (tmp_path / "b.tif").write_text('<VRTDataset rasterXSize="1" rasterYSize="1"></VRTDataset>')
    _refused(tmp_path / "b.tif", "b.tif")


def test_a_file_that_is_damaged_later_is_refused_when_it_is_rendered(tmp_path: Path, opened: Opened, noise: Any) -> None:
    path = write_raster(tmp_path / "a.tif", np.tile(noise, (1, 4, 4)))
    source = opened(path)
    truncate(path, 0.2)
    with pytest.raises(StreamError) as caught:
        for y in range(8, 12):
            source.render(5, 17, y)
    assert caught.value.code == "invalid_source"


@pytest.mark.parametrize(("options", "word"), [({"colormap": "nowhere"}, "colormap"), ({"rescale": ((0, 1), (0, 1))}, "rescale")])
def test_looks_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, Any], word: str) -> None:
    _refused(write_raster(tmp_path / "a.tif", plain(1, 2, 3).astype("uint16")), word, **options)


def _refused(path: Path, word: str, **options: Any) -> None:
    with pytest.raises(StreamError, match=word) as caught:
        RasterSource([path], RasterOptions(**options))
    assert caught.value.code == "invalid_source"


def _sparse(path: Path, width: int, height: int, **profile: Any) -> Path:
    """Pixels that are not in the file."""
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": "EPSG:4326", "sparse_ok": True, **profile}
    with rasterio.open(path, "w", width=width, height=height, transform=from_bounds(*EUROPE, width, height), **profile):
        return path


def _add_overviews(path: Path, *factors: int) -> None:
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews(factors)


def _append_picture(path: Path, kind: int, side: int) -> None:
    """One more picture, of one block: an overview (1) or a mask (4)."""
    data = bytearray(path.read_bytes())
    block = zlib.compress(bytes(1 << 20))  # not all of it, which is only noticed when it is unpacked
    fields = {254: kind, 256: side, 257: side, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 324: len(data), 325: len(block)}
    data += block + bytes(len(block) % 2)
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * count, len(data))
    data += struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items()) + bytes(4)
    path.write_bytes(data)
