"""Images painted over rasters: what they show, what is announced, and what is left behind when they are refused."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from django.contrib.auth.models import User
from django.test import Client
from rasterio.transform import from_bounds

from streaming.core.errors import StreamError
from streaming.core.redis import sync_redis
from streaming.models import Tileset
from streaming.tiles.change_feed import EVERYTHING, ChangedArea, parse_change, tiles_feed
from streaming.tiles.grid import Tile, count_tiles
from streaming.tiles.imagery import clear_imagery_sync, imagery_sync, paint_sync
from streaming.tiles.imagery_files import painted_files
from streaming.tiles.paths import imagery_folder
from streaming.tiles.source_kinds import open_source
from streaming.tiles.sources.base import SourceClosed
from streaming.tiles.sources.footprint import is_opaque
from streaming.tiles.sources.raster import RasterSource
from streaming.tiles.tile_renderer import tile_renderer
from streaming.tiles.tilesets import TilesetSettings, tileset_settings

from .comparison.samples import SAMPLES
from .conftest import EUROPE, damage, plain, truncate, write_raster

WEST, EAST = (0.0, 40.0, 10.0, 60.0), (10.0, 40.0, 20.0, 60.0)
IN_WEST, IN_EAST = (6, 33, 21), (6, 34, 21)  # 5.6..11.25 E and 11.25..16.9 E
BLUE, RED, GREEN = (0, 0, 200), (200, 0, 0), (0, 200, 0)


@pytest.fixture(autouse=True)
def engine(transactional_db: None, redis: None, data_dir: Path) -> None:
    pass


@pytest.fixture
def blue(data_dir: Path) -> TilesetSettings:
    path = write_raster(data_dir / "blue.tif", plain(*BLUE))
    return tileset_settings(Tileset.objects.create(name="blue", kind="raster", source=str(path)))


@pytest.fixture
def image(tmp_path: Path) -> Callable[..., Path]:
    def write(colour: tuple[int, ...], bounds: tuple[float, ...] = WEST, **options: Any) -> Path:
        return write_raster(tmp_path / "image.tif", plain(*colour), bounds, **options)

    return write


Images = Callable[..., Path]


def colour(tileset: TilesetSettings, place: tuple[int, int, int], across: int = 60) -> tuple[int, ...]:
    source = open_source(tileset)
    assert isinstance(source, RasterSource)
    pixels = source.pixels(*place)
    source.close()
    assert pixels is not None
    return tuple(int(value) for value in pixels[:3, 128, across])


def announced() -> list[ChangedArea]:
    """The lines of the tileset's feed."""
    return [parse_change(fields[b"n"][13:]) for _, fields in sync_redis().xrange(tiles_feed("blue").log_key)]


def names(tileset: TilesetSettings) -> list[str]:
    return [painted.image for painted in imagery_sync(tileset)]


def left_behind(tileset: TilesetSettings) -> list[str]:
    folder = imagery_folder(tileset.name)
    return [path.name for path in folder.rglob("*") if path.name != ".lock"] if folder.exists() else []


def refused(tileset: TilesetSettings, image: bytes | Path, name: str | None = None) -> StreamError:
    with pytest.raises(StreamError) as caught:
        paint_sync(tileset, image, name)
    assert (left_behind(tileset), announced()) == ([], [])
    return caught.value


def test_an_image_is_shown_over_what_was_there(blue: TilesetSettings, image: Images) -> None:
    paint_sync(blue, image(RED))
    assert (colour(blue, IN_WEST), colour(blue, IN_EAST)) == (RED, BLUE)


def test_exactly_the_changed_area_is_announced(blue: TilesetSettings, image: Images) -> None:
    painted = paint_sync(blue, image(RED))
    assert painted.bounds == pytest.approx(WEST)
    assert announced() == [ChangedArea(box=painted.bounds)]
    assert painted.tiles == count_tiles(WEST, range(5))  # half as many degrees a pixel as the file below: one zoom more
    assert Tile(*IN_WEST) in announced()[0] and Tile(*IN_EAST) not in announced()[0]


def test_bytes_and_pieces_are_taken_too(blue: TilesetSettings, image: Images) -> None:
    data = image(RED).read_bytes()
    first, second = paint_sync(blue, data), paint_sync(blue, iter([data[:100], data[100:]]))
    assert (first.version, first.bytes) == (second.version, len(data))


def test_the_tiles_counted_are_those_of_the_tilesets_zooms(blue: TilesetSettings, image: Images) -> None:
    Tileset.objects.update(min_zoom=2, max_zoom=7)
    assert paint_sync(tileset_settings(Tileset.objects.get()), image(RED)).tiles == count_tiles(WEST, range(2, 8))


def test_later_images_are_on_top(blue: TilesetSettings, image: Images) -> None:
    paint_sync(blue, image(RED), "first")
    paint_sync(blue, image(GREEN, (5.0, 40.0, 15.0, 60.0)), "second")
    assert names(blue) == ["first", "second"]
    assert colour(blue, IN_WEST) == GREEN


def test_an_image_replaces_the_one_of_its_name(blue: TilesetSettings, image: Images) -> None:
    paint_sync(blue, image(RED), "strip")
    paint_sync(blue, image(GREEN, EAST), "strip")
    assert names(blue) == ["strip"]
    assert (colour(blue, IN_WEST), colour(blue, IN_EAST)) == (BLUE, GREEN)
    assert [area.box for area in announced()] == [pytest.approx(WEST), pytest.approx(EAST), pytest.approx(WEST)]


@pytest.mark.parametrize(
    ("crs", "bounds"), [("EPSG:4326", WEST), ("EPSG:3857", (0, 4.9e6, 1.1e6, 8.3e6)), ("EPSG:32632", (0, 4.4e6, 1e6, 6.6e6))]
)
def test_the_same_place_painted_again_costs_nothing_more(blue: TilesetSettings, image: Images, crs: str, bounds: tuple[float, ...]) -> None:
    for shade in (RED, GREEN, RED, GREEN):
        paint_sync(blue, image(shade, bounds, crs=crs))
    assert len(left_behind(blue)) == 1
    assert colour(blue, IN_WEST) == GREEN


def test_an_image_in_another_reference_system_hides_what_it_contains(blue: TilesetSettings, image: Images) -> None:
    paint_sync(blue, image(RED, (1.0, 45.0, 9.0, 50.0)), "inside")
    paint_sync(blue, image(RED, (8.0, 45.0, 12.0, 50.0)), "across")
    paint_sync(blue, image(GREEN, (0, 4.9e6, 1.1e6, 8.3e6), crs="EPSG:3857"), "above")
    assert names(blue) == ["across", "above"]


def test_a_rotated_image_hides_nothing(blue: TilesetSettings, image: Images, tmp_path: Path) -> None:
    paint_sync(blue, image(RED, (4.0, 45.0, 6.0, 50.0)), "below")
    transform = rasterio.Affine.translation(0, 60) * rasterio.Affine.rotation(-45) * rasterio.Affine.scale(0.3, -0.3)
    profile = {"driver": "GTiff", "count": 3, "height": 64, "width": 64, "dtype": "uint8", "crs": "EPSG:4326"}
    with rasterio.open(tmp_path / "rotated.tif", "w", transform=transform, **profile) as dataset:
        dataset.write(plain(*GREEN))
    paint_sync(blue, tmp_path / "rotated.tif", "above")
    assert names(blue) == ["below", "above"]


@pytest.mark.parametrize("transparent", [{"nodata": 0}, {"photometric": "RGB", "alpha": "YES"}])
def test_an_image_with_holes_hides_nothing(blue: TilesetSettings, image: Images, tmp_path: Path, transparent: dict[str, Any]) -> None:
    paint_sync(blue, image(RED), "below")
    pixels = plain(*(GREEN if "nodata" in transparent else (*GREEN, 255)))
    pixels[:, :32] = 0
    paint_sync(blue, write_raster(tmp_path / "holes.tif", pixels, WEST, **transparent), "above")
    assert names(blue) == ["below", "above"]


def test_an_image_with_an_alpha_band_that_is_opaque_hides(blue: TilesetSettings, image: Images, tmp_path: Path) -> None:
    paint_sync(blue, image(RED), "below")
    paint_sync(blue, write_raster(tmp_path / "a.tif", plain(*GREEN, 255), WEST, photometric="RGB", alpha="YES"), "above")
    assert names(blue) == ["above"]


def test_images_are_taken_away_one_by_one_or_all(blue: TilesetSettings, image: Images) -> None:
    paint_sync(blue, image(RED), "west")
    paint_sync(blue, image(RED, EAST), "east")
    assert (clear_imagery_sync(blue, "west"), clear_imagery_sync(blue, "west")) == (1, 0)
    assert (colour(blue, IN_WEST), colour(blue, IN_EAST)) == (BLUE, RED)
    paint_sync(blue, image(RED), "west")
    assert (clear_imagery_sync(blue), clear_imagery_sync(blue)) == (2, 0)
    assert (left_behind(blue), colour(blue, IN_EAST)) == ([], BLUE)
    assert [area.box for area in announced()] == [pytest.approx(box) for box in (WEST, EAST, WEST, WEST, EAST, WEST)]


def test_an_image_beyond_what_was_there_makes_the_tileset_larger(blue: TilesetSettings, image: Images) -> None:
    paint_sync(blue, image(RED, (20.0, 40.0, 30.0, 60.0)))
    source = open_source(blue)
    assert source.metadata.bounds == pytest.approx((0, 40, 30, 60))
    source.close()


def test_across_the_antimeridian_only_the_two_sides_are_announced(blue: TilesetSettings, image: Images) -> None:
    paint_sync(blue, image(RED, (-3e5, 8e6, 3e5, 8.5e6), crs="EPSG:3832"))  # around 150 E
    clear_imagery_sync(blue)
    paint_sync(blue, image(RED, (3e6, 1e6, 4e6, 2e6), crs="EPSG:3832"))
    west, _, east, _ = announced()[-1].box or (0, 0, 0, 0)
    assert 176 < west < 178 and -176 < east < -173
    source = open_source(blue)
    assert source.metadata.bounds[::2] == (-180, 180)
    source.close()


async def test_a_tile_requested_meanwhile_is_rendered_from_what_is_there(data_dir: Path, image: Images, settings: Any) -> None:
    settings.GEOSTREAM_TILE_CHECK_SECONDS = 3600.0
    path = write_raster(data_dir / "blue.tif", plain(*BLUE))
    tileset = tileset_settings(await Tileset.objects.acreate(name="blue", kind="raster", source=str(path), max_zoom=8))
    paint_sync(tileset, image(RED))
    opened = await tile_renderer().opened(tileset)
    paint_sync(tileset, image(GREEN))  # takes the place of the other, which threads that come later cannot open any more
    with ThreadPoolExecutor(1) as another, pytest.raises(SourceClosed):
        another.submit(opened.source.render, *IN_WEST).result()
    shown = await asyncio.gather(*(tile_renderer().tile(tileset, Tile(8, x, y)) for x in range(129, 134) for y in range(80, 85)))
    assert all(shown)


def test_several_may_paint_at_once(blue: TilesetSettings, tmp_path: Path) -> None:
    boxes = [(float(x), 40.0, float(x + 1), 60.0) for x in range(8)]
    files = [write_raster(tmp_path / f"{number}.tif", plain(*RED), box) for number, box in enumerate(boxes)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: paint_sync(blue, files[number % 8], f"image{number % 8}"), range(16)))
    assert sorted(names(blue)) == [f"image{number}" for number in range(8)]
    assert len({file.stamp for file in painted_files(imagery_folder("blue"))}) == 8


def test_a_raster_takes_so_many_images(blue: TilesetSettings, image: Images, settings: Any) -> None:
    settings.GEOSTREAM_MAX_IMAGERY = 2
    paint_sync(blue, image(RED), "west")
    paint_sync(blue, image(RED, EAST), "east")
    with pytest.raises(StreamError) as caught:
        paint_sync(blue, image(RED, (5.0, 40.0, 15.0, 60.0)), "middle")
    assert (caught.value.code, names(blue)) == ("tileset_full", ["west", "east"])
    assert len(left_behind(blue)) == 2
    paint_sync(blue, image(GREEN, EAST))


def test_an_image_is_too_large(blue: TilesetSettings, image: Images, settings: Any) -> None:
    settings.GEOSTREAM_MAX_IMAGERY_BYTES = 1000
    assert refused(blue, image(RED)).code == "too_large"


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # from writing it
def test_an_image_in_no_reference_system_is_refused(blue: TilesetSettings, image: Images) -> None:
    error = refused(blue, image(RED, crs=None), "strip")
    assert (error.code, error.message.split(":")[0]) == ("invalid_image", "strip.tif")


@pytest.mark.parametrize("spoil", [truncate, damage])
def test_a_damaged_image_is_refused(blue: TilesetSettings, tmp_path: Path, noise: Any, spoil: Callable[[Path], Path]) -> None:
    path = write_raster(tmp_path / "a.tif", noise, WEST, compress="deflate", tiled=True, blockxsize=64, blockysize=64)
    assert refused(blue, spoil(path)).code == "invalid_image"


@pytest.mark.parametrize("content", [b"", b"not a picture", b'<VRTDataset rasterXSize="1" rasterYSize="1"></VRTDataset>'])
def test_what_is_no_geotiff_is_refused(blue: TilesetSettings, content: bytes) -> None:
    assert refused(blue, content).code == "invalid_image"


@pytest.mark.parametrize(("side", "block"), [(100_000, 256), (9_000, 512), (16_384, 16_384)])
def test_a_decompression_bomb_is_refused(blue: TilesetSettings, tmp_path: Path, side: int, block: int) -> None:
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": "EPSG:4326", "sparse_ok": True, "compress": "deflate"}
    shape = {"height": side, "width": side, "tiled": True, "blockxsize": block, "blockysize": block}
    with rasterio.open(tmp_path / "bomb.tif", "w", transform=from_bounds(*EUROPE, side, side), **shape, **profile):
        pass
    assert os.path.getsize(tmp_path / "bomb.tif") < 2_500_000
    assert refused(blue, tmp_path / "bomb.tif").code == "invalid_image"


def test_whether_a_great_many_blocks_are_opaque_is_not_looked_at(tmp_path: Path) -> None:
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": "EPSG:4326", "sparse_ok": True}
    for height, seen in ((1 << 10, True), (1 << 18, False)):
        with rasterio.open(
            tmp_path / "a.tif", "w", width=16, height=height, blockysize=1, transform=from_bounds(*EUROPE, 16, height), **profile
        ):
            pass
        assert is_opaque(tmp_path / "a.tif") is seen


@pytest.mark.parametrize("bounds", [(0.0, -90.0, 20.0, -86.0), (500000.0, 4e6, 600000.0, 5e6)])
def test_an_image_that_is_nowhere_on_the_map_is_refused(blue: TilesetSettings, image: Images, bounds: tuple[float, ...]) -> None:
    assert refused(blue, image(RED, bounds)).code == "invalid_image"


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a" * 101, "a\0b"])
def test_names_that_could_lead_elsewhere_are_refused(blue: TilesetSettings, image: Images, name: str) -> None:
    assert refused(blue, image(RED), name).code == "bad_request"


@pytest.mark.parametrize("name", ["", "..", "../blue", "a/b"])
def test_tilesets_whose_names_could_lead_elsewhere_are_refused(image: Images, name: str) -> None:
    tileset = TilesetSettings(name, name, "raster", ("blue.tif",))
    with pytest.raises(StreamError) as caught:
        paint_sync(tileset, image(RED))
    assert caught.value.code == "invalid_source"


def test_only_rasters_are_painted_over(image: Images) -> None:
    tileset = tileset_settings(Tileset.objects.create(name="blue", kind="pushed"))
    for change in (lambda: paint_sync(tileset, image(RED)), lambda: clear_imagery_sync(tileset)):
        with pytest.raises(StreamError) as caught:
            change()
        assert caught.value.code == "wrong_tileset_kind"


def test_an_image_is_shown_with_the_tilesets_own_look(data_dir: Path, tmp_path: Path) -> None:
    heights = write_raster(data_dir / "heights.tif", np.full((1, 64, 64), 500, "float32"))
    row = Tileset.objects.create(name="blue", kind="raster", source=str(heights), rescale="0,1000")
    tileset = tileset_settings(row)
    paint_sync(tileset, write_raster(tmp_path / "a.tif", np.full((1, 64, 64), 1000, "float32"), WEST))
    assert (colour(tileset, IN_WEST), colour(tileset, IN_EAST)) == ((255,) * 3, (128,) * 3)


def test_a_painted_image_that_is_damaged_later_can_be_taken_away(blue: TilesetSettings, image: Images) -> None:
    paint_sync(blue, image(RED))
    (file,) = painted_files(imagery_folder("blue"))
    spoilt = file.path.with_name(f"{file.stamp + 1:020d}-{file.version}-spoilt.tif")
    spoilt.write_bytes(b"damaged")
    assert [painted.bounds is None for painted in imagery_sync(blue)] == [False, True]
    clear_imagery_sync(blue, "spoilt")
    assert announced()[-1] == EVERYTHING
    assert colour(blue, IN_WEST) == RED


def test_images_can_be_listed_and_taken_away_while_the_source_is_gone(blue: TilesetSettings, image: Images) -> None:
    paint_sync(blue, image(RED), "strip")
    Path(blue.sources[0]).unlink()
    assert names(blue) == ["strip"]
    assert clear_imagery_sync(blue) == 1


def test_the_admin_takes_images_away(blue: TilesetSettings, image: Images) -> None:
    paint_sync(blue, image(RED))
    admin = Client()
    admin.force_login(User.objects.create_superuser("admin"))
    page = admin.get("/admin/streaming/tileset/").content.decode()
    assert '<td class="field-painted">1</td>' in page
    selected = {"action": "clear_imagery", "_selected_action": Tileset.objects.get().pk}
    assert "Painted images taken away: 1." in admin.post("/admin/streaming/tileset/", selected, follow=True).content.decode()
    assert names(blue) == []


def test_what_died_half_written_is_removed_in_time(blue: TilesetSettings, image: Images) -> None:
    old, new = (imagery_folder("blue") / f".incoming-{name}" for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    paint_sync(blue, image(RED))
    assert (old.exists(), new.exists()) == (False, True)


def test_a_removed_tileset_takes_its_images_along(blue: TilesetSettings, image: Images) -> None:
    paint_sync(blue, image(RED))
    Tileset.objects.get().delete()
    assert not imagery_folder("blue").exists()
    assert not list(sync_redis().scan_iter("*tiles:blue*"))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    "name",
    ["control points", "sensor model", "complex", "0 to 360", "170 to 190", "utm over the antimeridian", "palette of 16 bits", "arctic"],
)
def test_images_of_odd_kinds_are_painted_where_they_are(blue: TilesetSettings, tmp_path: Path, name: str) -> None:
    path = SAMPLES[name](tmp_path / "sample.tif")
    painted = paint_sync(blue, path, "image")
    alone = RasterSource([path])
    assert painted.bounds == pytest.approx(alone.metadata.bounds)
    alone.close()
    (area,) = announced()
    assert area.box == pytest.approx(painted.bounds)
    again = paint_sync(blue, path, "another")
    assert names(blue)[-1] == again.image


@pytest.mark.parametrize("crs", ["+proj=longlat +R=3396190 +no_defs", 'LOCAL_CS["the site",UNIT["metre",1]]'])
def test_an_image_that_is_not_on_the_earth_is_refused(blue: TilesetSettings, image: Images, crs: str) -> None:
    error = refused(blue, image(RED, crs=crs))
    assert error.code == "invalid_image"
    assert "Earth" in error.message and len(error.message) < 300
