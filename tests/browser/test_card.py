"""The card of a feature: what says most comes first, and nothing is dangerous."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from ..server_process import ServerProcess
from .fleet import Feature, aircraft
from .map_page import MapPage

QUAKE: Feature = {
    "type": "Feature",
    "id": "us1",
    "geometry": {"type": "Point", "coordinates": [8.5, 46.5]},
    "properties": {
        "alert": None,
        "detail": "https://example.org/detail/us1",
        "code": "x1",
        "mag": 4.4,
        "place": "5 km N of Here",
        "evil": "javascript:alert(1)",
    },
}


@pytest.fixture(scope="module")
def quakes(live_site: ServerProcess) -> ServerProcess:
    live_site.publish("quakes", QUAKE)
    return live_site


@pytest.fixture
def card(quakes: ServerProcess, live: MapPage) -> MapPage:
    live.by_id("layer-flights-toggle").uncheck()
    live.show(8, 46.5, 8.5)
    live.wait_until_drawn("us1")
    live.page.locator("#map").focus()
    live.page.keyboard.press("Enter")
    expect(live.page.locator("#card")).to_be_visible()
    return live


@pytest.mark.long_form(only=True)
def test_telling_properties_come_first_and_nothing_empty(card: MapPage) -> None:
    names = card.page.locator("#card th").all_inner_texts()
    assert names[:2] == ["Place", "Mag"] and "Alert" not in names


def test_addresses_are_links_and_scripts_are_text(card: MapPage) -> None:
    links = card.page.locator("#card td a")
    expect(links).to_have_count(1)
    expect(links).to_have_attribute("href", "https://example.org/detail/us1")


def test_the_card_of_a_feature_that_is_hidden_again_closes(card: MapPage) -> None:
    card.by_id("layer-quakes-toggle").uncheck()
    expect(card.page.locator("#card")).to_be_hidden()


def test_numbers_that_change_have_a_curve_of_the_last_minutes(live_site: ServerProcess, live: MapPage) -> None:
    live.by_id("layer-quakes-toggle").uncheck()
    live.show(9, 46.5, 8.0)
    live.wait_until_drawn("f12")
    live.page.locator("#map").focus()
    live.page.keyboard.press("Enter")
    expect(live.page.locator("#card [data-title]")).to_have_text("F12")
    live.page.evaluate(
        "() => { let now = performance.now(); performance.now = () => (now += 1000); }"
    )  # no sample takes the place of another
    for step in range(1, 4):
        live_site.publish("flights", aircraft("f12", 8.0 + step / 100, 46.5, altitude_ft=20_000 + 500 * step**2))
        live.wait(f"() => geostream.subscriptions.flights.features.get('f12').properties.altitude_ft === {20_000 + 500 * step**2}")
    altitude = live.page.locator("#card tr", has_text="Altitude")
    expect(altitude.locator("svg.curve path")).to_have_attribute("d", re.compile(r"^M0\.0 13\.0L.*L52\.0 0\.0$"))
    expect(live.page.locator("#card tr", has_text="Track").locator("svg")).to_have_count(0)


def test_a_link_to_a_feature_shows_it_with_its_card(live_site: ServerProcess, card: MapPage, open_map: Callable[..., MapPage]) -> None:
    address = card.page.get_by_role("link", name="Link to this feature").get_attribute("href") or ""
    other = open_map(live_site, address.removeprefix("#").replace("map=8", "map=3"))
    expect(other.page.locator("#card [data-title]")).to_have_text("5 km N of Here")
    assert abs(other.page.evaluate("geostream.map.getCenter().lat") - 46.5) < 0.1
