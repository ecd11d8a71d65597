"""Layers can be switched off and on, and coloured."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from ..server_process import ServerProcess
from .fleet import Feature, fleet, renew
from .map_page import MapPage

ROUTE: Feature = {
    "type": "Feature",
    "id": 1,
    "geometry": {"type": "LineString", "coordinates": [[6, 46], [10, 47]]},
    "properties": {"name": "A"},
}


@pytest.fixture(scope="module")
def two_layers(live_site: ServerProcess) -> ServerProcess:
    renew(live_site)
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


def announce(server: ServerProcess, event: str, layer: str) -> None:
    """What a server whose own events are on says itself."""
    server.post("/api/events/", {"event_type": "custom", "payload": {"source": f"layer:{layer}", "event": event, "layer": layer}})


def test_layers_that_come_and_go_are_told_and_the_others_keep_their_colours(two_layers: ServerProcess, live: MapPage) -> None:
    swatch = "document.querySelector('#layer-routes').closest('li').style.getPropertyValue('--swatch')"
    before = live.page.evaluate(swatch)
    live.wait("async () => (await geostream.client.listSubscriptions()).some(({kind}) => kind === 'events')")
    two_layers.publish("a-new-one", {**ROUTE, "id": 2})
    announce(two_layers, "layer_created", "a-new-one")
    expect(live.by_id("layer-news")).to_have_text("New: a-new-one")
    assert live.page.evaluate(swatch) == before
    two_layers.request("DELETE", "/api/layers/a-new-one/")
    announce(two_layers, "layer_removed", "a-new-one")
    expect(live.by_id("layer-news")).to_have_text("Deleted: a-new-one")


def test_an_empty_layer_says_so(two_layers: ServerProcess, live: MapPage) -> None:
    two_layers.post("/api/layers/", {"name": "vacant"})
    announce(two_layers, "layer_created", "vacant")
    live.by_id("layer-vacant-toggle").check()
    expect(live.by_id("layer-vacant-count")).to_have_text("empty")
    two_layers.request("DELETE", "/api/layers/vacant/")
    announce(two_layers, "layer_removed", "vacant")
    expect(live.by_id("layer-vacant-toggle")).to_have_count(0)


@pytest.mark.long_form(only=True)
def test_an_address_of_a_layer_that_is_not_there_says_so_until_it_is(two_layers: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    live = open_map(two_layers, "map=6/46.8/8.0&layers=routes,later")
    expect(live.by_id("missing-layers")).to_contain_text("There is no layer later")
    live.wait("async () => (await geostream.client.listSubscriptions()).some(({kind}) => kind === 'events')")
    two_layers.publish("later", {**ROUTE, "id": 3})
    announce(two_layers, "layer_created", "later")
    expect(live.by_id("layer-later-count")).to_have_text("1")
    expect(live.by_id("missing-layers")).to_be_hidden()


def test_a_snapshot_says_how_much_of_it_has_come(two_layers: ServerProcess, live: MapPage) -> None:
    live.page.evaluate("""() => {
      window.counts = [];
      const count = document.querySelector('[data-testid=layer-flights-count]');
      const note = () => window.counts.push(count.textContent);
      new MutationObserver(note).observe(count, {childList: true, characterData: true, subtree: true});
      const {live} = geostream;
      const isComplete = live.isComplete;
      live.isComplete = () => false;
      setTimeout(() => (live.isComplete = isComplete), 600);
    }""")
    live.wait("() => window.counts.includes('20 of 20')")
    expect(live.by_id("layer-flights-count")).to_have_text("20")


@pytest.mark.long_form(only=True)
def test_of_many_layers_a_few_are_on_and_the_others_are_folded(two_layers: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    names = [f"layer-{number}" for number in range(9)]
    for name in names:
        two_layers.publish(name, {**ROUTE, "id": 1})
    live = open_map(two_layers, "map=6/46.8/8.0")
    assert live.page.evaluate("Object.keys(geostream.subscriptions).length") == 4
    expect(live.by_id("more-layers")).to_contain_text(re.compile(r"[78] more"))
    expect(live.by_id("layer-layer-8-toggle")).to_be_hidden()
    live.by_id("more-layers").locator("summary").click()
    live.by_id("layer-layer-8-toggle").check()
    expect(live.by_id("layer-layer-8-count")).to_have_text("1")
    for name in names:
        two_layers.request("DELETE", f"/api/layers/{name}/")
