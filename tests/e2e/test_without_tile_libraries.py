"""A server without the libraries of `django-geostream[tiles]` serves features and vector tiles, and refuses what needs them."""

from __future__ import annotations

import sqlite3
import urllib.request
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import pytest

from streaming.client import GeoStreamClient
from streaming.tiles.paths import DEMO
from tests.geo_peer import point
from tests.hidden_modules import TILE_LIBRARIES, hiding
from tests.server_process import ServerProcess
from tests.tiles.conftest import PNG
from tests.tiles.test_pushed_tiles import picture, vector

from .conftest import Serve

pytestmark = pytest.mark.long_form(only=True)

INSTALL = "pip install 'django-geostream[tiles]'"
WORLD = (-180.0, -85.0, 180.0, 85.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources")


@pytest.fixture(scope="module")
def server(serve: Serve, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    """A server without the libraries, on the data of one that had them."""
    with_libraries = serve(GEOSTREAM_TILE_ROOTS=str(folder))
    create(with_libraries, "relief", kind="raster", source=str(DEMO / "relief.tif"))
    with_libraries.stop()
    return serve(GEOSTREAM_TILE_ROOTS=str(folder), **hiding(TILE_LIBRARIES, tmp_path_factory.mktemp("hidden")))


def create(server: ServerProcess, name: str, **settings: Any) -> None:
    status, answer = server.post("/api/tilesets/", {"name": name, **settings})
    assert status == 201, answer


def get(server: ServerProcess, path: str) -> bytes:
    with urllib.request.urlopen(server.url + path, timeout=30) as answer:
        data: bytes = answer.read()
    return data


async def test_features_and_their_vector_tiles_are_served(server: ServerProcess) -> None:
    assert server.post("/api/layers/", {"name": "cars"})[0] == 201
    create(server, "cars", kind="layer", source="cars")
    async with GeoStreamClient(server.ws_url) as client:
        features = await client.subscribe_features("cars")
        tiles = await client.subscribe_tiles(WORLD, (0, 1), tileset="cars")
        await tiles.ready()
        server.publish("cars", point("1", 10, 50))
        assert (await anext(aiter(features))).id == "1"
        async for change in tiles:
            assert "cars" in mapbox_vector_tile.decode(change.data)
            break
    assert "cars" in mapbox_vector_tile.decode(get(server, "/tiles/cars/0/0/0.mvt"))


def test_mbtiles_are_served(server: ServerProcess, folder: Path) -> None:
    with sqlite3.connect(folder / "a.mbtiles") as database:
        database.execute("CREATE TABLE metadata (name text, value text)")
        database.execute("CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)")
        database.execute("INSERT INTO tiles VALUES (0, 0, 0, ?)", [PNG])
    create(server, "archive", kind="mbtiles", source=str(folder / "a.mbtiles"))
    assert get(server, "/tiles/archive/0/0/0.png") == PNG


def test_a_directory_of_tiles_is_served(server: ServerProcess, folder: Path) -> None:
    (folder / "tree" / "0" / "0").mkdir(parents=True)
    (folder / "tree" / "0" / "0" / "0.png").write_bytes(PNG)
    create(server, "tree", kind="directory", source=str(folder / "tree"))
    assert get(server, "/tiles/tree/0/0/0.png") == PNG


def test_pushed_vector_tiles_are_taken_and_images_refused(server: ServerProcess) -> None:
    for format in ("mvt", "png"):
        create(server, f"pushed-{format}", kind="pushed", format=format)
    assert server.request("PUT", "/api/tilesets/pushed-mvt/tiles/0/0/0", vector())[0] == 201
    assert get(server, "/tiles/pushed-mvt/0/0/0.mvt") == vector()
    status, answer = server.request("PUT", "/api/tilesets/pushed-png/tiles/0/0/0", picture(1))
    assert (status, answer["code"], INSTALL in answer["message"]) == (422, "invalid_source", True)


def test_a_raster_of_before_is_refused_and_listed_with_the_reason(server: ServerProcess) -> None:
    status, answer = server.request("GET", "/tiles/relief/0/0/0.png")
    assert (status, answer["code"], INSTALL in answer["message"]) == (422, "invalid_source", True)
    listed = {tileset["name"]: tileset for tileset in server.request("GET", "/api/tilesets/")[1]}
    assert INSTALL in listed["relief"]["error"]["message"]


def test_an_image_is_not_painted(server: ServerProcess) -> None:
    status, answer = server.request("POST", "/api/tilesets/relief/imagery", (DEMO / "relief.tif").read_bytes(), "image/tiff")
    assert (status, answer["code"], INSTALL in answer["message"]) == (422, "invalid_source", True)


@pytest.mark.parametrize(("kind", "file"), [("raster", "a.tif"), ("pmtiles", "a.pmtiles")])
def test_a_source_that_needs_a_library_is_not_saved(server: ServerProcess, folder: Path, kind: str, file: str) -> None:
    (folder / file).write_bytes(b"anything")
    status, answer = server.post("/api/tilesets/", {"name": kind, "kind": kind, "source": str(folder / file)})
    assert status == 400
    assert INSTALL in str(answer)
