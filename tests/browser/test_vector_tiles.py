"""Vector tiles on the live map: features are where they are, move without a request for tiles, and look right everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from streaming.tiles.mvt import TileFeature, encode_layer

from ..profiles import only_long
from ..server_process import ServerProcess
from .conftest import MAP
from .map_page import PHONE, MapPage
from .test_tiles import RELIEF, add

ALPS = "map=6/46.8/8.0&layers="
SHOWN = f"{ALPS}&tiles=places"
SQUARE = [[[9, 46], [11, 46], [11, 47.5], [9, 47.5], [9, 46]]]
TEAL = {"dark": (45, 212, 191), "light": (13, 148, 136)}
"""The first colour of the palette."""
PIXEL = """([name, lon, lat]) => {
  const {map} = geostream;
  const layer = Object.values(map._layers).find(({tileset}) => tileset === name);
  const {x, y} = map.latLngToContainerPoint([lat, lon]);
  for (const {el, current} of Object.values(layer?._tiles ?? {})) {
    const box = el.getBoundingClientRect();
    if (!current || x < box.left || x >= box.right || y < box.top || y >= box.bottom) continue;
    const copy = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
    copy.drawImage(el, -Math.floor((x - box.left) / box.width * el.width), -Math.floor((y - box.top) / box.height * el.height));
    return [...copy.getImageData(0, 0, 1, 1).data];
  }
  return null;
}"""


class VectorMap(MapPage):
    """A map that shows the vector tiles `places`."""

    def watch(self) -> None:
        self.requests: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))

    def pixel(self, lon: float, lat: float) -> tuple[int, ...] | None:
        """Red, green, blue and opacity there; None where no tile is."""
        found = self.page.evaluate(PIXEL, ["places", lon, lat])
        return tuple(found) if found else None

    def opacity(self, lon: float, lat: float) -> int | None:
        pixel = self.pixel(lon, lat)
        return pixel[3] if pixel else None

    def wait_until_shown(self) -> None:
        self.wait("() => geostream.imagery.subscriptions.places?.ready")

    def wait_for_point(self, lon: float, lat: float, theme: str = "dark") -> None:
        self.wait_for(lambda: self.pixel(lon, lat) == (*TEAL[theme], 255))


def place(id: int, lon: float, lat: float) -> dict[str, Any]:
    return {"type": "Feature", "id": id, "geometry": {"type": "Point", "coordinates": [lon, lat]}, "properties": {"name": f"place {id}"}}


@pytest.fixture
def places(site: ServerProcess) -> ServerProcess:
    """A server with a layer of some points and a square, and vector tiles of it."""
    square = {"type": "Feature", "id": 9, "geometry": {"type": "Polygon", "coordinates": SQUARE}, "properties": {"name": "a square"}}
    others = [place(10 + n, 4 + n % 5 / 5, 44 + n // 5 / 5) for n in range(25)]
    site.publish("places", place(1, 7.0, 46.5), place(2, 6.0, 47.5), square, *others)
    add(site, "places", "places", kind="layer", title="Places")
    return site


@pytest.fixture
def open_vectors(new_context: Callable[..., BrowserContext]) -> Callable[..., VectorMap]:
    def open_(server: ServerProcess, address: str = SHOWN, **options: Any) -> VectorMap:
        live = VectorMap(new_context(**{"viewport": MAP, **options}).new_page())
        live.watch()
        live.open(f"{server.url}/#{address}")
        return live

    return open_


def test_features_are_drawn_where_they_are_and_move_by_deltas_without_any_request_for_tiles(
    places: ServerProcess, open_vectors: Callable[..., VectorMap], screenshot: Callable[..., None]
) -> None:
    live = open_vectors(places)
    live.wait_until_shown()
    live.wait_for_point(7.0, 46.5)
    live.wait_for_point(6.0, 47.5)
    assert live.opacity(10.0, 46.8) in range(40, 80)  # the square, through which one sees
    assert live.opacity(8.0, 46.5) == live.opacity(12.0, 46.8) == 0
    screenshot(live, "vector-tiles")

    before = len(live.received)
    places.publish("places", place(1, 8.0, 46.5))
    live.wait_for_point(8.0, 46.5)
    live.wait_for(lambda: live.opacity(7.0, 46.5) == 0)
    tiles = [message for message in live.received[before:] if message["type"] == "tile_data"]
    assert {message.get("encoding") for message in tiles} == {"prefix+zstd"}
    assert not [url for url in live.requests if "/tiles/" in url]
    live.check()


@pytest.mark.long_form(only=True)
def test_a_feature_that_is_deleted_is_gone_and_one_that_comes_back_is_drawn(
    site: ServerProcess, open_vectors: Callable[..., VectorMap]
) -> None:
    site.publish("places", place(1, 7.0, 46.5))
    add(site, "places", "places", kind="layer")
    live = open_vectors(site)
    live.wait_for_point(7.0, 46.5)
    status, answer = site.request("DELETE", "/api/layers/places/features/1")
    assert status in {200, 204}, answer
    live.wait_for(lambda: live.opacity(7.0, 46.5) == 0)
    assert live.page.evaluate("geostream.imagery.subscriptions.places.tiles.size") == 0
    site.publish("places", place(1, 8.5, 46.0))
    live.wait_for_point(8.5, 46.0)
    live.check()


@pytest.mark.long_form(only=True)
def test_vector_tiles_are_off_until_they_are_switched_on_and_the_link_remembers(
    places: ServerProcess, open_vectors: Callable[..., VectorMap]
) -> None:
    add(places, "relief", RELIEF, kind="raster")
    live = open_vectors(places, f"{ALPS}&tiles=relief")
    live.wait("() => geostream.imagery.subscriptions.relief?.ready")
    expect(live.by_id("tiles-places-toggle")).not_to_be_checked()
    assert not [url for url in live.requests if "vector-tile-layer" in url]
    live.by_id("tiles-places-toggle").check()
    live.wait_for_point(7.0, 46.5)
    live.wait("() => new URLSearchParams(location.hash.slice(1)).get('tiles') === 'places,relief'")
    live.reload()
    live.wait_for_point(7.0, 46.5)
    live.by_id("tiles-places-toggle").uncheck()
    live.wait("() => Object.keys(geostream.imagery.subscriptions).join() === 'relief'")
    assert live.pixel(7.0, 46.5) is None
    live.check()


@pytest.mark.parametrize("zoom", ["5.75", only_long("9"), only_long("12.25")])
def test_between_the_zooms_and_beyond_the_last_one_features_are_where_they_are(
    places: ServerProcess, open_vectors: Callable[..., VectorMap], zoom: str, screenshot: Callable[..., None]
) -> None:
    add(places, "places", "places", kind="layer", max_zoom=7)
    live = open_vectors(places, f"map={zoom}/46.5/7.0&layers=&tiles=places")
    live.wait_for_point(7.0, 46.5)
    live.wait_until_shown()
    screenshot(live, f"vector-tiles-at-{zoom}")
    west, east = live.page.evaluate("[-60, 60].map((x) => geostream.map.containerPointToLatLng([512 + x, 320]).lng)")
    assert live.opacity(west, 46.5) == live.opacity(east, 46.5) == 0
    widths = live.page.evaluate("[...new Set([...document.querySelectorAll('.live-tile')].map(({width}) => width))]")
    assert 512 in widths
    places.publish("places", place(1, east, 46.5))
    live.wait_for_point(east, 46.5)
    assert live.opacity(7.0, 46.5) == 0
    live.check()


@pytest.mark.long_form(only=True)
def test_colours_follow_the_theme(places: ServerProcess, open_vectors: Callable[..., VectorMap], screenshot: Callable[..., None]) -> None:
    live = open_vectors(places)
    live.wait_for_point(7.0, 46.5)
    live.page.emulate_media(color_scheme="light")
    live.wait_for_point(7.0, 46.5, "light")
    screenshot(live, "vector-tiles-light")
    live.page.emulate_media(color_scheme="dark")
    live.wait_for_point(7.0, 46.5)
    live.check()


@pytest.mark.long_form(only=True)
@pytest.mark.timeout(120)  # a server that starts again, and a page that waits longer after each attempt
def test_after_a_restart_features_are_where_they_went_meanwhile(places: ServerProcess, open_vectors: Callable[..., VectorMap]) -> None:
    live = open_vectors(places)
    live.wait_for_point(7.0, 46.5)
    with live.offline():
        places.kill()
        expect(live.by_id("connection-state")).to_have_attribute("data-state", "reconnecting")
        places.start()
        places.publish("places", place(1, 8.0, 46.5))
        live.wait_for(lambda: live.state == "open", within=60)
    live.wait_for_point(8.0, 46.5)
    live.wait_for_point(6.0, 47.5)
    live.wait_for(lambda: live.opacity(7.0, 46.5) == 0)
    live.check()


@pytest.mark.long_form(only=True)
def test_a_phone_gets_sharp_vectors(
    places: ServerProcess, new_context: Callable[..., BrowserContext], screenshot: Callable[..., None]
) -> None:
    live = VectorMap(new_context(**PHONE).new_page())

    live.open(f"{places.url}/#map=6/48/7.0&layers=&tiles=places")
    live.wait_for_point(6.0, 47.5)
    widths = live.page.evaluate("[...new Set([...document.querySelectorAll('.live-tile')].map(({width}) => width))]")
    assert 1024 in widths
    screenshot(live, "vector-tiles-on-a-phone")
    live.page.locator("#panel-toggle").tap()
    live.page.locator("#imagery").scroll_into_view_if_needed()
    screenshot(live, "vector-tiles-on-a-phone-panel")
    live.check()


@pytest.mark.long_form(only=True)
def test_files_that_turn_out_to_be_of_vector_tiles_are_shown_to_who_asks_for_them(
    site: ServerProcess, open_vectors: Callable[..., VectorMap]
) -> None:
    folder = site.data_dir / "of-vectors" / "0" / "0"
    folder.mkdir(parents=True)
    middle = [(2048, 2048)]
    (folder / "0.mvt").write_bytes(b"".join(encode_layer(name, [TileFeature(point, ()) for point in middle]) for name in ("land", "sea")))
    add(site, "places", folder.parent.parent, kind="directory")
    live = open_vectors(site, "map=4/0/0&layers=")
    expect(live.by_id("tiles-places-toggle")).not_to_be_checked()
    live.by_id("tiles-places-toggle").check()
    live.wait_for(lambda: live.opacity(0.0, 0.0) == 255)
    live.wait("() => new URLSearchParams(location.hash.slice(1)).get('tiles') === 'places'")
    live.reload()
    live.wait_for(lambda: live.opacity(0.0, 0.0) == 255)
    live.check()


@pytest.mark.long_form(only=True)
def test_tiles_that_cannot_be_read_are_told_and_the_others_shown(site: ServerProcess, open_vectors: Callable[..., VectorMap]) -> None:
    folder = site.data_dir / "damaged" / "1"
    for column, tile in ((0, b"<html>no tile</html>"), (1, encode_layer("land", [TileFeature((2048, 2048), ())]))):
        (folder / str(column)).mkdir(parents=True)
        (folder / str(column) / "0.mvt").write_bytes(tile)
    add(site, "places", folder.parent, kind="directory")
    live = open_vectors(site, "map=2/0/0&layers=&tiles=places")
    live.wait_for(lambda: live.opacity(90.0, 66.51326) == 255)
    expect(live.page.locator("#notice")).to_contain_text("tile 1/0/0")
    live.check()
