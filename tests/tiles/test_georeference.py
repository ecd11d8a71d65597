"""Where rasters are: in any longitudes, by control points and sensor models, and not on other planets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from streaming.core.errors import StreamError
from streaming.tiles.grid import Tile, tile_position
from streaming.tiles.sources.footprint import read_footprint
from streaming.tiles.sources.raster import RasterOptions, RasterSource

from .comparison.samples import sensor_model
from .conftest import plain, write_raster

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
MARS = (
    'GEOGCS["Mars 2000",DATUM["D_Mars_2000",SPHEROID["Mars_2000_IAU_IAG",3396190,169.894447]],'
    'PRIMEM["Reference_Meridian",0],UNIT["degree",0.0174532925199433]]'
)
EUROPA = "+proj=eqc +lat_ts=0 +lon_0=0 +x_0=0 +y_0=0 +R=1560800 +units=m +no_defs"
LOCAL = 'LOCAL_CS["the site",UNIT["metre",1]]'


def colour_at(source: RasterSource, lon: float, lat: float, zoom: int = 4) -> Any:
    """The values of the pixel at a position."""
    x, y = tile_position(lon, lat, zoom)
    pixels = source.pixels(zoom, int(x), int(y))
    return None if pixels is None else [int(value) for value in pixels[:, int(y % 1 * 256), int(x % 1 * 256)]]


def world(tmp_path: Path, west: float, step: float) -> Path:
    """Each column is as grey as its longitude: 0 at the antimeridian, 180 half a turn on, 254 before the end."""
    columns = round(360 / step)
    longitudes = (west + (np.arange(columns) + 0.5) * step + 180) % 360
    values = np.broadcast_to((longitudes / 360 * 255).astype(np.uint8), (1, columns // 2, columns))
    return write_raster(tmp_path / "world.tif", values, (west, -90, west + 360, 90))


@pytest.mark.parametrize(("west", "step"), [(0, 1), (-0.125, 0.25), (-0.5, 1), (-180, 1), (-180.125, 0.25), (-360, 1), (20, 1)])
def test_the_world_from_any_longitude_is_the_whole_world(tmp_path: Path, west: float, step: float) -> None:
    source = RasterSource([world(tmp_path, west, step)])
    assert source.metadata.bounds == pytest.approx((-180, -85.0511287798066, 180, 85.0511287798066))
    for lon in (-178, -120, -60, -1, 1, 60, 120, 178):
        grey, _, _, alpha = colour_at(source, lon, 40)
        assert (grey, alpha) == (pytest.approx((lon + 180) / 360 * 255, abs=1.5), 255)
    for x in (0, 1):
        pixels = source.pixels(1, x, 0)
        assert pixels is not None and pixels[3].all()
    source.close()


@pytest.mark.parametrize("bounds", [(170, -10, 190, 10), (-190, -10, -170, 10)])
def test_a_raster_over_the_antimeridian_is_on_both_sides(tmp_path: Path, bounds: tuple[float, ...]) -> None:
    path = write_raster(tmp_path / "a.tif", plain(10, 20, 30), bounds)
    source = RasterSource([path])
    assert source.metadata.bounds == pytest.approx((170, -10, -170, 10))
    assert colour_at(source, 175, 1) == colour_at(source, -175, 1) == [10, 20, 30, 255]
    assert colour_at(source, 165, 1) in (None, [0, 0, 0, 0])
    assert read_footprint(path).box == pytest.approx((170, -10, -170, 10))
    source.close()


def test_longitudes_of_200_are_160_west(tmp_path: Path) -> None:
    source = RasterSource([write_raster(tmp_path / "a.tif", plain(10, 20, 30), (200, 40, 220, 60))])
    assert source.metadata.bounds == pytest.approx((-160, 40, -140, 60))
    assert colour_at(source, -150, 50) == [10, 20, 30, 255]
    source.close()


def test_metres_that_are_called_degrees_are_refused(tmp_path: Path) -> None:
    _refused(write_raster(tmp_path / "a.tif", plain(1), (500_000, 4e6, 600_000, 5e6)), "nowhere on the map")


def with_points(path: Path, places: list[tuple[float, float, float, float]], crs: str = "EPSG:4326") -> Path:
    """A picture of 64 x 64 pixels, white in the west and black in the east, located by (column, row, lon, lat)."""
    values = np.zeros((1, 64, 64), np.uint8)
    values[:, :, :32] = 200
    write_raster(path, values, crs=None)
    with rasterio.open(path, "r+") as dataset:
        dataset.gcps = [GroundControlPoint(row, column, x, y) for column, row, x, y in places], CRS.from_user_input(crs)
    return path


CORNERS = [(0, 0, 0.0, 60.0), (64, 0, 20.0, 60.0), (0, 64, 0.0, 40.0), (64, 64, 20.0, 40.0)]


def test_control_points_say_where_an_image_is(tmp_path: Path) -> None:
    path = with_points(tmp_path / "a.tif", CORNERS)
    source = RasterSource([path])
    assert source.metadata.bounds == pytest.approx((0, 40, 20, 60), abs=0.1)
    assert colour_at(source, 5, 50) == [200, 200, 200, 255]
    assert colour_at(source, 15, 50) == [0, 0, 0, 255]
    assert colour_at(source, 25, 50) in (None, [0, 0, 0, 0])
    assert not read_footprint(path).north_up
    source.close()


def turned(places: list[tuple[float, float, float, float]]) -> list[tuple[float, float, float, float]]:
    """The places 170 degrees further east, in longitudes up to 180."""
    return [(column, row, (lon + 170 + 180) % 360 - 180, lat) for column, row, lon, lat in places]


GRID = [(column * 16, row * 16, column * 5.0, 60.0 - row * 5) for column in range(5) for row in range(5)]


@pytest.mark.parametrize("overviews", [False, True])
@pytest.mark.parametrize(
    "places",
    [
        turned(CORNERS),
        turned(GRID),
        [(column, row, lon + 170, lat) for column, row, lon, lat in CORNERS],
        [(column, row, lon - 190, lat) for column, row, lon, lat in CORNERS],
    ],
)
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:4269"])
def test_control_points_on_both_sides_of_the_antimeridian(tmp_path: Path, places: Any, crs: str, overviews: bool) -> None:
    path = with_points(tmp_path / "a.tif", places, crs)
    if overviews:
        with rasterio.open(path, "r+") as dataset:
            dataset.build_overviews([2, 4])
    source = RasterSource([path])
    assert source.metadata.bounds == pytest.approx((170, 40, -170, 60), abs=0.1)
    for zoom in (0, 1, 2, 4):
        assert colour_at(source, 174.5, 50, zoom) == [200, 200, 200, 255]
        assert colour_at(source, -174.5, 50, zoom) == [0, 0, 0, 255]
        for outside in (160, -160, 0, 90):
            assert colour_at(source, outside, 50, zoom) in (None, [0, 0, 0, 0])
    source.close()
    assert path.exists()


def test_a_sensor_model_says_where_an_image_is(tmp_path: Path) -> None:
    source = RasterSource([sensor_model(tmp_path / "a.tif")])
    west, south, east, north = source.metadata.bounds
    assert (west + east) / 2 == pytest.approx(8.5, abs=0.05)
    assert (south + north) / 2 == pytest.approx(46.5, abs=0.05)
    assert colour_at(source, 8.5, 46.5, 10)[3] == 255
    source.close()


@pytest.mark.parametrize(
    ("crs", "bounds", "reason"),
    [
        (MARS, (0, 40, 20, 60), r"\(Mars 2000\) is not of the Earth"),
        (EUROPA, (-1e6, -1e6, 1e6, 1e6), "is not of the Earth"),
        ("IAU_2015:30100", (0, 40, 20, 60), "is not of the Earth"),  # the Moon
        (LOCAL, (0, 0, 100, 100), r"\(the site\) is a local one"),
    ],
)
def test_what_is_not_on_the_earth_is_refused(tmp_path: Path, crs: str, bounds: tuple[float, ...], reason: str) -> None:
    _refused(write_raster(tmp_path / "a.tif", plain(1), bounds, crs), reason)


def test_control_points_on_mars_are_refused(tmp_path: Path) -> None:
    _refused(with_points(tmp_path / "a.tif", CORNERS, MARS), "is not of the Earth")


def test_a_sphere_as_large_as_the_earth_is_taken(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", plain(1), (0, 40, 20, 60), "+proj=longlat +R=6371229 +no_defs")  # weather models
    RasterSource([path]).close()


def test_a_projection_that_ends_before_the_corners_is_drawn(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", plain(9, 8, 7), (-20_000_000, -10_000_000, 20_000_000, 10_000_000), "ESRI:54008")
    source = RasterSource([path])
    assert colour_at(source, 10, 10) == colour_at(source, -170, 2) == [9, 8, 7, 255]
    source.close()


def test_a_tile_is_made_from_an_overview_that_has_its_detail(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", plain(100, size=1024), tiled=True, blockxsize=256, blockysize=256)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4])
        dataset.write(plain(50, size=1024))  # the overviews stay 100
    source = RasterSource([path], RasterOptions())
    high = source.metadata.max_zoom
    assert [colour_at(source, 10, 50, zoom)[0] for zoom in (high + 1, high, high - 2)] == [50, 50, 100]
    source.close()


def test_only_tiles_that_it_touches_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = RasterSource([write_raster(tmp_path / "a.tif", plain(1))])
    monkeypatch.setattr("streaming.tiles.sources.warp.reproject", _never)
    assert source.render(*Tile(5, 0, 0)) is None
    source.close()


def _never(*args: Any, **options: Any) -> None:
    raise AssertionError


def _refused(path: Path, reason: str, opener: Callable[..., Any] = RasterSource) -> None:
    with pytest.raises(StreamError, match=reason) as caught:
        opener([path])
    assert caught.value.code == "invalid_source"
    assert len(caught.value.message) < 400
