"""The pages of examples, with the real map libraries: what is published is seen in each, and tiles change while one looks."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, Route

from streaming.pages.examples import EXAMPLES

from ..conftest import missing
from ..profiles import only_long
from ..server_process import ServerProcess
from .fleet import aircraft, renew
from .map_page import WatchedPage
from .test_tiles import add

NODE_MODULES = Path(__file__).parent.parent.parent / "node_modules"
FOLDERS = {"maplibre-gl": "maplibre-5", "ol": "ol-10"}
"""Packages that `npm ci` puts into a folder of another name."""
CENTRE = (8.2, 46.8)
LAND, POINT = (0x16, 0x24, 0x3E), (0x3C, 0x54, 0x80)
"""Colours of the pages in the dark: of land, and of a point in a vector tile."""
SMALL = {"width": 640, "height": 480}
AT = {
    "maplibre": """([lon, lat]) => example.map.queryRenderedFeatures(example.map.project([lon, lat]))
        .map(({properties}) => properties['@id'])""",
    "deckgl": """([lon, lat]) => {
        if (!example.live) return [];
        const [x, y] = example.map.getViewports()[0].project([lon, lat]);
        return [example.map.pickObject({x, y, radius: 1})?.object.id];
    }""",
    "openlayers": """([lon, lat]) => {
        const pixel = example.map.getPixelFromCoordinate(ol.proj.fromLonLat([lon, lat]));
        return pixel ? example.map.getFeaturesAtPixel(pixel).map((feature) => feature.getId()) : [];
    }""",
}
"""The ids of the features that are drawn at a place, as the library itself finds them."""
LOOK_AT = {
    "maplibre": "(center) => void example.map.jumpTo({center, zoom: 5})",
    "deckgl": """([longitude, latitude]) => {
        example.map.setProps({initialViewState: {longitude, latitude, zoom: 5}});
        example.live.moved();
    }""",
    "openlayers": "(center) => example.map.getView().setCenter(ol.proj.fromLonLat(center))",
}
COUNTS = "[...example.live.subscription.features.values()].map(({properties}) => properties.count)"
WITH_TILES = [library for library, example in EXAMPLES.items() if example.tiles]
MIDDLE = [f"{z}/{(1 << z) * 188 // 360}/{y}" for z, y in ((4, 5), (5, 11), (6, 22))]
"""The tiles around the centre of the maps, at the zooms that they may show."""


class ExamplePage(WatchedPage):
    """The page of one library."""

    library: str

    def is_at(self, what: str, place: tuple[float, float]) -> bool:
        return what in self.page.evaluate(AT[self.library], list(place))

    def wait_until(self, what: str, place: tuple[float, float], there: bool = True) -> None:
        self.wait_for(lambda: self.is_at(what, place) is there)

    def wait_for_colour(self, colour: tuple[int, int, int]) -> None:
        """Until the pixel in the middle of the map is of this colour."""
        box = self.page.locator("#map").bounding_box()
        assert box is not None
        place = {"x": box["x"] + box["width"] // 2, "y": box["y"] + box["height"] // 2, "width": 1, "height": 1}

        def is_there() -> bool:
            shot = self.page.screenshot(clip=place)
            return Image.open(BytesIO(shot)).convert("RGB").getpixel((0, 0)) == colour

        self.wait_for(is_there)


def from_npm(route: Route) -> None:
    """A file of a package, as it is in the folder of `npm ci`."""
    found = re.fullmatch(r"/npm/(?P<name>@?[^@]+)@(?P<version>[^/]+)/(?P<file>.+)", urlsplit(route.request.url).path)
    assert found is not None
    path = NODE_MODULES / FOLDERS.get(found["name"], found["name"]) / found["file"]
    route.fulfill(path=path, content_type=mimetypes.guess_type(path)[0], headers={"Access-Control-Allow-Origin": "*"})


Open = Callable[..., ExamplePage]


@pytest.fixture(scope="module")
def open_example(chromium: Browser, live_site: ServerProcess) -> Iterator[Open]:
    """Opens the page of a library with a query, once for all tests of the module: WebGL without a graphics card takes seconds to begin."""
    if not all((NODE_MODULES / name).is_dir() for name in ("maplibre-5", "ol-10", "@deck.gl/core")):
        missing("the map libraries (npm ci)")
    opened: dict[str, ExamplePage] = {}

    def open_(library: str, query: str) -> ExamplePage:
        address = f"{live_site.url}/examples/{library}/?{query}"
        if address not in opened:
            page = ExamplePage(chromium.new_context(viewport=SMALL, color_scheme="dark", reduced_motion="reduce").new_page())
            page.library = library
            page.page.route("https://cdn.jsdelivr.net/npm/**", from_npm)
            opened[address] = page
            page.page.goto(address)
        return opened[address]

    yield open_
    for page in opened.values():
        page.page.context.close()
        for harmless in ("GPU stall", "Multiple readback operations"):  # pixels that are read back, by the libraries themselves
            page.forgive(harmless)
        page.check()


@pytest.fixture
def show_flights(open_example: Open, live_site: ServerProcess) -> Open:
    """Opens the page of a library that shows the 20 aircraft of `fleet()`, and looks at them."""
    renew(live_site)

    def show(library: str) -> ExamplePage:
        page = open_example(library, "layer=flights&tileset=")
        page.wait("() => globalThis.example?.live && !example.live.subscription.closed")
        page.page.evaluate(LOOK_AT[library], [*CENTRE])
        page.wait_until("f10", (6, 46.5))
        return page

    return show


def push(site: ServerProcess, tileset: str, tile: bytes, content_type: str) -> None:
    """The same tile wherever the middle of a map may be."""
    for place in MIDDLE:
        status, answer = site.request("PUT", f"/api/tilesets/{tileset}/tiles/{place}", tile, content_type)
        assert status in {200, 201, 204}, answer


def picture(colour: tuple[int, int, int]) -> bytes:
    file = BytesIO()
    Image.new("RGB", (256, 256), colour).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("library", [only_long(library) if library == "deckgl" else library for library in EXAMPLES])
def test_a_feature_is_seen_to_move(live_site: ServerProcess, show_flights: Open, library: str) -> None:
    page = show_flights(library)
    live_site.publish("flights", aircraft("f10", 7.5, 47.1))
    page.wait_until("f10", (7.5, 47.1))
    assert not page.is_at("f10", (6, 46.5))


@pytest.mark.long_form(only=True)
@pytest.mark.parametrize("library", EXAMPLES)
def test_a_feature_that_is_deleted_vanishes(live_site: ServerProcess, show_flights: Open, library: str) -> None:
    page = show_flights(library)
    live_site.request("DELETE", "/api/layers/flights/features/f10")
    page.wait_until("f10", (6, 46.5), there=False)
    assert page.is_at("f11", (7, 46.5))


@pytest.mark.long_form(only=True)
@pytest.mark.parametrize("library", EXAMPLES)
def test_the_view_is_what_is_subscribed_to(live_site: ServerProcess, show_flights: Open, library: str) -> None:
    page = show_flights(library)
    live_site.publish("flights", aircraft("far", 100, 10))
    assert page.page.evaluate("example.live.subscription.features.has('far')") is False
    page.page.evaluate(LOOK_AT[library], [100, 10])
    page.wait_until("far", (100, 10))
    page.wait("() => example.live.subscription.features.size === 1")


@pytest.mark.long_form(only=True)
def test_a_map_of_maplibre_with_another_style_has_the_source_again(show_flights: Open) -> None:
    page = show_flights("maplibre")
    page.page.evaluate("""() => {
        example.map.setStyle({version: 8, sources: {}, layers: []}, {diff: false});
        example.map.once('idle', () => example.map.addLayer({id: 'points', type: 'circle', source: 'live'}));
    }""")
    page.wait("() => example.map.getLayer('points')")
    page.wait_until("f10", (6, 46.5))


@pytest.mark.long_form(only=True)
@pytest.mark.parametrize("library", EXAMPLES)
def test_what_is_removed_leaves_nothing_behind(show_flights: Open, library: str) -> None:
    page = show_flights(library)
    page.page.evaluate("example.live.remove()")
    assert page.page.evaluate("example.client.listSubscriptions()") == []
    if library != "deckgl":  # there, layers are the page's
        page.wait_until("f10", (6, 46.5), there=False)
    page.page.reload()


@pytest.mark.long_form(only=True)
@pytest.mark.parametrize("library", EXAMPLES)
def test_cells_are_seen_to_count(live_site: ServerProcess, open_example: Open, library: str) -> None:
    renew(live_site)
    page = open_example(library, "layer=flights&tileset=&cells=on")
    page.wait(f"() => globalThis.example?.live && {COUNTS}.reduce((sum, count) => sum + count, 0) === 20")
    live_site.publish("flights", *(aircraft(f"f{row}{column}", *CENTRE) for row in range(4) for column in range(4)))
    page.wait(f"() => {COUNTS}.includes(16)")
    cell = page.page.evaluate("[...example.live.subscription.features.values()].find(({properties}) => properties.count === 16).id")
    page.wait_until(cell, CENTRE)


@pytest.mark.parametrize("library", [library if library == "maplibre" else only_long(library) for library in WITH_TILES])
def test_pictures_are_seen_to_change(live_site: ServerProcess, open_example: Open, library: str) -> None:
    name = f"painted-{library}"
    live_site.post("/api/tilesets/", {"name": name, "kind": "pushed", "format": "png"})
    push(live_site, name, picture((200, 30, 30)), "image/png")
    page = open_example(library, f"layer=&tileset={name}")
    page.wait_for_colour((200, 30, 30))
    push(live_site, name, picture((30, 30, 200)), "image/png")
    page.wait_for_colour((30, 30, 200))


@pytest.mark.long_form(only=True)
@pytest.mark.parametrize("library", WITH_TILES)
def test_vector_tiles_are_seen_to_change(live_site: ServerProcess, open_example: Open, library: str) -> None:
    renew(live_site)
    live_site.publish("flights", aircraft("f10", *CENTRE))
    add(live_site, f"tiled-{library}", "flights", kind="layer")
    page = open_example(library, f"layer=&tileset=tiled-{library}")
    page.wait_for_colour(POINT)
    live_site.publish("flights", aircraft("f10", 7.5, 47.1))
    page.wait_for_colour(LAND)
