"""The pictures of `docs/map.md`: the demo's data on the map, light, dark and on a phone. Run by `make screenshots`, and by nothing else."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import StorageState, expect

from streaming.management.commands.demo import EARTHQUAKES, EARTHQUAKES_LAYER, FLIGHTS, FLIGHTS_LAYER

from ..server_process import ServerProcess
from .map_page import PHONE, MapPage

FIRST, ROUNDS, SECONDS = 60, 9, 30
"""Of the recording, cut into pieces of so many seconds: where the pictures begin, and how many pieces are published for trails."""
VIEW = "map=7.6/46.9/8.3"
PAUSE = 1100
"""Milliseconds after which the card takes another sample."""


def recorded() -> list[list[dict[str, Any]]]:
    """The positions of the recording, in pieces; of each aircraft the last one of a piece."""
    pieces: dict[str, dict[str, Any]] = defaultdict(dict)
    with gzip.open(FLIGHTS, "rt") as lines:
        for line in lines:
            feature = json.loads(line)
            minute, second = feature["properties"]["datetime"][:16], int(feature["properties"]["datetime"][17:19])
            pieces[f"{minute}:{second // SECONDS}"][feature["id"]] = feature
    ordered = [list(pieces[key].values()) for key in sorted(pieces)]
    return ordered[FIRST : FIRST + ROUNDS]


@pytest.fixture(scope="module")
def pieces() -> list[list[dict[str, Any]]]:
    return recorded()


@pytest.fixture(scope="module")
def world(live_site: ServerProcess, pieces: list[list[dict[str, Any]]]) -> Iterator[ServerProcess]:
    """The layers of the demo, in groups."""
    quakes = json.loads(gzip.decompress(EARTHQUAKES.read_bytes()))["features"]
    groups = (("flights", "Air", FLIGHTS_LAYER, pieces[0]), ("earthquakes", "Earth", EARTHQUAKES_LAYER, quakes))
    for name, group, settings, features in groups:
        live_site.post("/api/layers/", {"name": name, **settings, "group": group})
        live_site.publish(name, *features)
    yield live_site


@pytest.fixture
def show(world: ServerProcess, pieces: list[list[dict[str, Any]]], open_map: Callable[..., MapPage]) -> Callable[..., MapPage]:
    """Opens the map and has aircraft fly for some seconds."""

    def open_(address: str = VIEW, flying: bool = True, **options: Any) -> MapPage:
        size = {} if "is_mobile" in options else {"viewport": {"width": 1080, "height": 680}}
        page = open_map(world, address, **{"reduced_motion": "no-preference", **size, **options})
        for piece in pieces[1:] if flying else ():
            world.publish("flights", *piece)
            page.page.wait_for_timeout(PAUSE)
        page.page.wait_for_timeout(PAUSE)
        return page

    return open_


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_map(show: Callable[..., MapPage], documented: Callable[..., None], scheme: str) -> None:
    page = show(color_scheme=scheme)
    page.page.locator("#map").focus()
    page.page.keyboard.press("Enter")
    expect(page.page.locator("#card svg.curve").first).to_be_visible()
    page.page.evaluate("document.activeElement.blur()")
    documented(page, scheme, "map", quality=46)


def test_on_a_phone(show: Callable[..., MapPage], documented: Callable[..., None]) -> None:
    page = show("map=6/46.8/8.3", color_scheme="dark", **PHONE)
    documented(page, "phone", "map", quality=55)
    page.page.locator("#panel-toggle").tap()
    expect(page.page.locator(".layer-group").first).to_be_visible()
    documented(page, "phone-panel", "map", quality=55)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_styles(show: Callable[..., MapPage], documented: Callable[..., None], logged_in: StorageState, scheme: str) -> None:
    address = "map=2.75/32/-175&layers=earthquakes"
    page = show(address, flying=False, color_scheme=scheme, storage_state=logged_in)
    page.by_id("layer-earthquakes-menu").click()
    page.page.get_by_role("button", name="Style…").click()
    editor = page.by_id("style-editor")
    editor.get_by_label("Palette").select_option("viridis")
    editor.get_by_label("Label").focus()
    page.page.wait_for_timeout(PAUSE)
    documented(page, f"styles-{scheme}", "map", quality=46)


def test_styles_on_a_phone(show: Callable[..., MapPage], documented: Callable[..., None], logged_in: StorageState) -> None:
    page = show("map=1.75/20/-60&layers=earthquakes", flying=False, color_scheme="light", storage_state=logged_in, **PHONE)
    page.page.locator("#panel-toggle").tap()
    page.by_id("layer-earthquakes-menu").tap()
    page.page.get_by_role("button", name="Style…").tap()
    page.by_id("style-editor").get_by_label("Palette").select_option("viridis")
    page.page.wait_for_timeout(PAUSE)
    documented(page, "styles-phone", "map", quality=55)


def test_categories(show: Callable[..., MapPage], documented: Callable[..., None], logged_in: StorageState) -> None:
    page = show("map=2.75/32/-175&layers=earthquakes", flying=False, color_scheme="dark", storage_state=logged_in)
    page.by_id("layer-earthquakes-menu").click()
    page.page.get_by_role("button", name="Style…").click()
    page.by_id("style-editor").get_by_label("Colour", exact=True).select_option("by mag type")
    page.page.wait_for_timeout(PAUSE)
    documented(page, "categories", "map", quality=46)


def test_under_the_pointer(show: Callable[..., MapPage], documented: Callable[..., None]) -> None:
    page = show(color_scheme="dark")
    x, y = page.page.evaluate("""() => {
      const {painter} = Object.values(geostream.map._layers).find((layer) => layer.painter);
      const middle = geostream.map.getSize().divideBy(2);
      const away = ({x, y}) => Math.hypot(x - middle.x, y - middle.y);
      const {x, y} = painter.drawn.reduce((best, spot) => (away(spot) < away(best) ? spot : best));
      return [x, y];
    }""")
    page.page.mouse.move(x, y)
    expect(page.by_id("hover-label")).to_be_visible()
    documented(page, "pointer", "map", quality=46)
