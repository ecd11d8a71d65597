"""TileJSON as MapLibre GL JS reads it: so many tiles as fill the map are loaded, not four times as many."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import mapbox_vector_tile
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext

from ..conftest import missing
from ..server_process import ServerProcess
from .map_page import WatchedPage
from .test_tiles import add

MAPLIBRE = Path(__file__).parent.parent.parent / "node_modules" / "maplibre-5" / "dist" / "maplibre-gl.js"
PAGE = "<!doctype html><title>MapLibre</title><div id=map style='width:800px;height:600px'></div><script src=/maplibre-gl.js></script>"
SHOW = """([type, url]) => new Promise((done, fail) => {
  const paint = type === 'vector' ? {type: 'circle', 'source-layer': 'places'} : {type: 'raster'};
  const tiles = [];
  const map = new maplibregl.Map({
    container: 'map', center: [0, 0], zoom: 3, fadeDuration: 0,
    style: {version: 8, sources: {shown: {type, url}}, layers: [{id: 'shown', source: 'shown', ...paint}]},
    transformRequest: (url, kind) => { if (kind === 'Tile') tiles.push(new URL(url).pathname); return {url}; },
  });
  map.on('error', ({error}) => fail(error));
  map.once('idle', () => done({tiles: tiles.sort(), places: map.queryRenderedFeatures().length}));
})"""
FOUR = [f"3/{x}/{y}" for x in (3, 4) for y in (3, 4)]
"""What fills a map of 800 x 600 pixels around 0, 0 at zoom 3, where the world is 4,096 pixels wide."""


def world(path: Path, tile: bytes, format: str) -> Path:
    """An archive with one tile everywhere, down to zoom 4, whose metadata say nothing of the size."""
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE metadata (name TEXT, value TEXT)")
        database.execute("CREATE TABLE tiles (zoom_level INTEGER, tile_column INTEGER, tile_row INTEGER, tile_data BLOB)")
        database.executemany(
            "INSERT INTO metadata VALUES (?, ?)", [("name", "world"), ("format", format), ("minzoom", "0"), ("maxzoom", "4")]
        )
        places = [(z, x, y, tile) for z in range(5) for x in range(1 << z) for y in range(1 << z)]
        database.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", places)
    database.close()
    return path


def vector_tile() -> bytes:
    features = [{"geometry": "POINT (2048 2048)", "properties": {"name": "somewhere"}}]
    made: bytes = mapbox_vector_tile.encode([{"name": "places", "features": features}])
    return made


def picture(size: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (size, size), "teal").save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def show(new_context: Callable[..., BrowserContext], site: ServerProcess) -> Iterator[Callable[..., Any]]:
    """Shows a tileset on a map, and returns which tiles the map has loaded."""
    if not MAPLIBRE.is_file():
        missing("maplibre-gl (npm ci)")
    watched = WatchedPage(new_context().new_page())
    watched.page.route("**/maplibre.html", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
    watched.page.route("**/maplibre-gl.js", lambda route: route.fulfill(path=MAPLIBRE, content_type="text/javascript"))

    def shown(tileset: str, type: str) -> tuple[list[str], int]:
        watched.page.goto(f"{site.url}/maplibre.html")
        found = watched.page.evaluate(SHOW, [type, f"{site.url}/tiles/{tileset}/tilejson.json"])
        return [path.removeprefix(f"/tiles/{tileset}/").partition(".")[0] for path in found["tiles"]], found["places"]

    yield shown
    assert not [trouble for trouble in watched.troubles if "GPU stall" not in trouble]  # MapLibre reads pixels back; drivers warn of it


@pytest.mark.long_form(only=True)
def test_vector_tiles_of_an_archive(site: ServerProcess, show: Callable[..., Any]) -> None:
    add(site, "world", world(site.data_dir / "world.mbtiles", vector_tile(), "pbf"), kind="mbtiles")
    assert show("world", "vector") == (FOUR, 4)


def test_pushed_vector_tiles(site: ServerProcess, show: Callable[..., Any]) -> None:
    site.post("/api/tilesets/", {"name": "pushed", "kind": "pushed", "format": "mvt"})
    for place in FOUR:
        status, answer = site.request("PUT", f"/api/tilesets/pushed/tiles/{place}", vector_tile(), "application/vnd.mapbox-vector-tile")
        assert status == 201, answer
    assert show("pushed", "vector") == (FOUR, 4)


def test_vector_tiles_of_a_layer(site: ServerProcess, show: Callable[..., Any]) -> None:
    features = [
        {"type": "Feature", "id": f"{x} {y}", "geometry": {"type": "Point", "coordinates": [x, y]}, "properties": {}}
        for x in (-10, 10)
        for y in (-10, 10)
    ]
    site.publish("places", *features)
    add(site, "places", "places", kind="layer")
    assert show("places", "vector") == (FOUR, 4)


@pytest.mark.long_form(only=True)
@pytest.mark.parametrize(("size", "expected"), [(512, FOUR), (256, [f"4/{x}/{y}" for x in range(6, 10) for y in range(6, 10)])])
def test_pictures_of_an_archive(site: ServerProcess, show: Callable[..., Any], size: int, expected: list[str]) -> None:
    add(site, f"world-{size}", world(site.data_dir / f"world-{size}.mbtiles", picture(size), "png"), kind="mbtiles")
    assert show(f"world-{size}", "raster") == (expected, 0)
