"""What maps are told of archives and of rasters, so that they load the right tiles, and as few as may be."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from pmtiles.tile import TileType

from streaming.models import Tileset
from streaming.tiles import images
from streaming.tiles.tilesets import tilesets

from .conftest import PNG, plain, write_raster
from .test_archives import change, image, vector

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def engine(transactional_db: None, redis: None, data_dir: Path) -> None:
    pass


@pytest.fixture
def client() -> Client:
    return Client()


def add(name: str, path: Path, data_dir: Path) -> None:
    if not path.is_relative_to(data_dir):
        path = path.rename(data_dir / path.name)
    call_command("add_tiles", name, str(path), stdout=StringIO())


def tilejson(client: Client, name: str = "some") -> Any:
    return client.get(f"/tiles/{name}/tilejson.json").json()


@pytest.mark.parametrize("kind", ["mbtiles", "pmtiles"])
def test_vector_tiles_are_of_512_pixels(client: Client, data_dir: Path, request: pytest.FixtureRequest, kind: str) -> None:
    """With 256, MapLibre loads the tiles of one zoom deeper: four times as many."""
    options: dict[str, Any] = {"format": "pbf"} if kind == "mbtiles" else {"type": TileType.MVT}
    add("some", request.getfixturevalue(kind)({(0, 0, 0): vector()}, **options), data_dir)
    document = tilejson(client)
    assert (document["format"], document["tileSize"]) == ("pbf", 512)
    assert client.get("/api/tilesets/some/").json()["tile_size"] == 512


def test_pushed_vector_tiles_are_of_512_pixels(client: Client) -> None:
    Tileset.objects.create(name="some", kind="pushed", format="mvt")
    assert tilejson(client)["tileSize"] == 512


@pytest.mark.parametrize("size", [256, 512])
def test_archives_of_images_are_of_the_size_of_their_tiles(client: Client, data_dir: Path, pmtiles: Write, size: int) -> None:
    add("some", pmtiles({(0, 0, 0): image("webp", size)}, TileType.WEBP), data_dir)
    assert tilejson(client)["tileSize"] == size


@pytest.mark.parametrize("size", [256, 512])
def test_rasters_are_of_the_size_that_is_set(client: Client, data_dir: Path, size: int) -> None:
    path = write_raster(data_dir / "a.tif", plain(1))
    call_command("add_tiles", "some", str(path), tile_size=size, stdout=StringIO())
    assert tilejson(client)["tileSize"] == size
    assert images.image_size(client.get("/tiles/some/3/4/2.png").content) == (size, size)


def test_bounds_over_the_antimeridian_are_given_from_west_to_east(client: Client, data_dir: Path) -> None:
    """MapLibre takes others for empty."""
    add("some", write_raster(data_dir / "a.tif", plain(1), (170, -10, 190, 10)), data_dir)
    west, south, east, north = tilejson(client)["bounds"]
    assert (west, east) == (-180, 180) and (south, north) == pytest.approx((-10, 10))
    assert client.get("/api/tilesets/some/").json()["bounds"] == pytest.approx([170, -10, -170, 10])
    assert {client.get(f"/tiles/some/3/{x}/4.png").status_code for x in (0, 7)} == {200}
    assert client.get("/tiles/some/3/3/4.png").status_code == 404


# -- served as they are --------------------------------------------------------


def test_avif_tiles_are_served(client: Client, data_dir: Path, mbtiles: Write) -> None:
    add("some", mbtiles({(0, 0, 0): image("avif")}, "avif"), data_dir)
    answer = client.get("/tiles/some/0/0/0.avif")
    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, "image/avif", image("avif"))
    assert tilejson(client)["tiles"] == ["http://testserver/tiles/some/{z}/{x}/{y}.avif"]


def test_a_raster_can_be_rendered_as_avif(client: Client, data_dir: Path) -> None:
    add("some", write_raster(data_dir / "a.tif", plain(10, 200, 30)), data_dir)
    answer = client.get("/tiles/some/3/4/2.avif")
    assert (answer.status_code, answer["Content-Type"], images.sniff(answer.content)) == (200, "image/avif", "avif")
    assert images.image_size(answer.content) == (256, 256)


def test_pushed_tiles_may_be_avif(admin_client: Any, redis: None) -> None:
    row = {"name": "some", "kind": "pushed", "format": "avif"}
    assert admin_client.post("/api/tilesets/", row, content_type="application/json").status_code == 201
    assert admin_client.put("/api/tilesets/some/tiles/0/0/0", image("avif"), content_type="image/avif").status_code == 201
    answer = admin_client.get("/tiles/some/0/0/0.avif")
    assert (answer["Content-Type"], answer.content) == ("image/avif", image("avif"))


def test_an_archive_of_several_formats_sends_each_as_what_it_is(client: Client, data_dir: Path, mbtiles: Write) -> None:
    add("some", mbtiles({(0, 0, 0): image("jpg"), (1, 0, 0): image("png")}, "jpg"), data_dir)
    kinds = [client.get(f"/tiles/some/{place}.jpg")["Content-Type"] for place in ("0/0/0", "1/0/0")]
    assert kinds == ["image/jpeg", "image/png"]


def test_jpeg_tiles_without_a_word_of_it_are_served_as_jpeg(client: Client, data_dir: Path, mbtiles: Write) -> None:
    path = mbtiles({(0, 0, 0): image("jpg")})
    change(path, "DROP TABLE metadata")
    add("some", path, data_dir)
    assert client.get("/tiles/some/0/0/0.jpg")["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize("bounds", ["0,0,0,0", "11,48,6,45", "7,47,9,45", "8.1,46.1,8.2,46.2", "-10,-20,-5,-15"])
def test_no_tile_is_hidden_by_bounds(client: Client, data_dir: Path, mbtiles: Write, bounds: str) -> None:
    places = [(0, 0, 0), (6, 33, 22), (6, 33, 23), (7, 67, 45)]
    add("some", mbtiles(dict.fromkeys(places, PNG), bounds=bounds), data_dir)
    assert {client.get("/tiles/some/{}/{}/{}.png".format(*place)).content for place in places} == {PNG}


def test_tiles_that_came_after_it_was_opened_are_shown(client: Client, data_dir: Path, mbtiles: Write) -> None:
    """They may be outside of the bounds that were found."""
    add("some", mbtiles({(4, 8, 5): PNG}), data_dir)
    client.get("/tiles/some/4/8/5.png")
    answer = client.get("/tiles/some/4/0/0.png")
    assert answer.status_code == 200  # transparent


def test_vector_tiles_with_zlib_are_sent_unpacked(client: Client, data_dir: Path, mbtiles: Write) -> None:
    add("some", mbtiles({(0, 0, 0): zlib.compress(vector()), (1, 0, 0): gzip.compress(vector("b"))}, "pbf"), data_dir)
    assert [client.get(f"/tiles/some/{place}.pbf").content for place in ("0/0/0", "1/0/0")] == [vector(), vector("b")]


# -- what is strange is said ---------------------------------------------------


def test_an_empty_picture_is_warned_of_over_rest(admin_client: Any, data_dir: Path) -> None:
    path = write_raster(data_dir / "a.tif", plain(9), nodata=9)
    body = {"name": "some", "kind": "raster", "source": str(path)}
    created = admin_client.post("/api/tilesets/", body, content_type="application/json")
    assert created.status_code == 201
    assert "nothing can be seen" in created.json()["warnings"][0]
    changed = admin_client.patch("/api/tilesets/some/", {"title": "Some"}, content_type="application/json")
    assert len(changed.json()["warnings"]) == 1
    assert "warnings" not in admin_client.get("/api/tilesets/some/").json()


def test_a_picture_that_is_there_has_no_warnings(admin_client: Any, data_dir: Path) -> None:
    body = {"name": "some", "kind": "raster", "source": str(write_raster(data_dir / "a.tif", plain(9)))}
    assert "warnings" not in admin_client.post("/api/tilesets/", body, content_type="application/json").json()


def test_the_admin_warns_of_an_empty_picture(admin_client: Any, data_dir: Path) -> None:
    path = write_raster(data_dir / "a.tif", plain(9), nodata=9)
    form = {"name": "some", "kind": "raster", "source": str(path), "tile_size": "256", "public": "on"}
    page = admin_client.post("/admin/streaming/tileset/add/", form, follow=True)
    assert b"nothing can be seen" in page.content


@pytest.mark.parametrize("crs", ["+proj=longlat +R=3396190 +no_defs", "+proj=eqc +R=1560800 +units=m +no_defs"])
def test_other_planets_are_refused_over_rest(admin_client: Any, data_dir: Path, crs: str) -> None:
    path = write_raster(data_dir / "a.tif", plain(9), crs=crs)
    answer = admin_client.post("/api/tilesets/", {"name": "some", "kind": "raster", "source": str(path)}, content_type="application/json")
    assert answer.status_code == 400
    assert "not of the Earth" in answer.content.decode()
    assert not Tileset.objects.exists()


@pytest.mark.parametrize("crs", ["+proj=longlat +R=3396190 +no_defs"])
def test_a_row_of_another_planet_is_an_error_of_its_own(client: Client, data_dir: Path, crs: str) -> None:
    """A file may be replaced after it was added."""
    path = write_raster(data_dir / "a.tif", plain(9), crs=crs)
    Tileset.objects.create(name="some", kind="raster", source=str(path))
    tilesets.clear()
    answer = client.get("/tiles/some/0/0/0.png")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_source")
