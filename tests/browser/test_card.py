"""The card of a feature: what says most comes first, and nothing is dangerous."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from ..server_process import ServerProcess
from .fleet import Feature
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
