"""Layers can be switched off and on, and coloured."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from ..server_process import ServerProcess
from .fleet import Feature, fleet
from .map_page import MapPage

ROUTE: Feature = {
    "type": "Feature",
    "id": 1,
    "geometry": {"type": "LineString", "coordinates": [[6, 46], [10, 47]]},
    "properties": {"name": "A"},
}


@pytest.fixture(scope="module")
def two_layers(live_site: ServerProcess) -> ServerProcess:
    live_site.publish("routes", ROUTE)
    return live_site


def test_a_layer_that_is_switched_off_is_neither_received_nor_drawn(two_layers: ServerProcess, live: MapPage) -> None:
    live.by_id("layer-flights-toggle").uncheck()
    live.by_id("layer-routes-toggle").uncheck()
    live.wait_for(lambda: live.ink() == 0)
    live.wait("async () => !(await geostream.client.listSubscriptions()).some(({kind}) => kind === 'features')")
    expect(live.by_id("layer-flights-count")).to_have_text("–")
    expect(live.by_id("count-total")).to_have_text("0")


def test_a_layer_that_is_switched_on_again_shows_what_changed_meanwhile(two_layers: ServerProcess, live: MapPage) -> None:
    live.by_id("layer-flights-toggle").uncheck()
    two_layers.publish("flights", *fleet(step=3))
    live.by_id("layer-flights-toggle").check()
    expect(live.by_id("layer-flights-count")).to_have_text("20")
    assert live.features()["f00"]["geometry"]["coordinates"] == [6.06, 46]


def test_the_others_stay_when_a_layer_is_switched_off(two_layers: ServerProcess, live: MapPage) -> None:
    live.by_id("layer-flights-toggle").uncheck()
    expect(live.by_id("layer-routes-count")).to_have_text("1")
    live.wait_for(lambda: live.ink() > 0)


def test_an_impatient_user_gets_the_last_position_of_the_switch(two_layers: ServerProcess, live: MapPage) -> None:
    toggle = live.by_id("layer-flights-toggle")
    for _ in range(5):
        toggle.click()
    expect(toggle).not_to_be_checked()
    toggle.click()
    expect(live.by_id("layer-flights-count")).to_have_text("20")
    live.wait("async () => (await geostream.client.listSubscriptions()).filter(({kind}) => kind === 'features').length === 1")


def test_the_choice_of_colours_changes_the_map_and_the_legend(two_layers: ServerProcess, live: MapPage) -> None:
    live.by_id("layer-routes-toggle").uncheck()
    expect(live.page.locator("#legend")).to_contain_text("Altitude")
    live.wait_for(lambda: live.ink() > 0)
    drawn = live.pixels()
    live.page.get_by_label("Colour flights").select_option("one colour")
    expect(live.page.locator("#legend")).to_be_hidden()
    live.wait_for(lambda: live.pixels() != drawn)
    live.page.get_by_label("Colour flights").select_option("altitude_ft")


def test_the_maps_own_link_of_a_layer_shows_that_layer_alone(two_layers: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    live = open_map(two_layers, "")
    live.page.goto(f"{two_layers.url}/?layer=routes")
    live.wait_until_live()
    expect(live.by_id("layer-routes-toggle")).to_be_checked()
    expect(live.by_id("layer-flights-toggle")).not_to_be_checked()
