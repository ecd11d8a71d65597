"""The list of events, and that whatever others publish stays text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from ..server_process import ServerProcess
from .fleet import aircraft, renew
from .map_page import MapPage

HOSTILE = "<img src=x onerror='window.attacked = 1'><script>window.attacked = 1</script>"


@pytest.fixture
def flights(live_site: ServerProcess) -> ServerProcess:
    return live_site


def entries(live: MapPage) -> Locator:
    return live.by_id("events").locator("li")


def publish_event(server: ServerProcess, payload: object, kind: str = "custom") -> None:
    status, answer = server.post("/api/events/", {"event_type": kind, "payload": payload})
    assert status == 201, answer


def test_a_published_event_is_shown_newest_first(flights: ServerProcess, live: MapPage) -> None:
    live.wait("async () => (await geostream.client.listSubscriptions()).some(({kind}) => kind === 'events')")
    publish_event(flights, {"message": "first"})
    publish_event(flights, {"status": "second", "percent": 40}, "progress")
    expect(entries(live).nth(0)).to_contain_text("second · 40 %")
    expect(entries(live).nth(1)).to_contain_text("first")
    expect(live.page.locator("#no-events")).to_be_hidden()


def test_an_event_is_text_even_when_it_contains_html(flights: ServerProcess, live: MapPage) -> None:
    live.wait("async () => (await geostream.client.listSubscriptions()).some(({kind}) => kind === 'events')")
    publish_event(flights, {"message": HOSTILE})
    publish_event(flights, {HOSTILE: [HOSTILE], "last": "of these"})
    expect(entries(live).nth(0)).to_contain_text("of these")
    for place in (0, 1):
        expect(entries(live).nth(place)).to_contain_text("<img src=x")
    assert live.by_id("events").locator("img, script").count() == 0
    assert live.page.evaluate("window.attacked") is None


def test_the_properties_of_a_feature_are_text_even_when_they_contain_html(
    flights: ServerProcess, live: MapPage, screenshot: Callable[..., None]
) -> None:
    flights.publish("flights", aircraft("hostile", 8.0, 46.8, callsign=HOSTILE, **{HOSTILE: HOSTILE, "list": [HOSTILE]}))
    live.wait_until_drawn("hostile")
    live.page.mouse.click(*live.where(8.0, 46.8))
    expect(live.page.locator("#card")).to_contain_text("<img src=x")
    assert live.page.locator("#card img, #card script").count() == 0
    assert live.page.evaluate("window.attacked") is None
    screenshot(live, "card-hostile")


@pytest.mark.long_form(only=True)
def test_the_name_of_a_layer_is_text_even_when_it_contains_html(flights: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    renew(flights)
    flights.request("PATCH", "/api/layers/flights", {"title": f"</script>{HOSTILE}"})
    live = open_map(flights)
    expect(live.page.locator("#layers")).to_contain_text("</script><img")
    assert live.page.evaluate("window.attacked") is None
    flights.request("PATCH", "/api/layers/flights", {"title": "Flights"})


def test_an_aircraft_that_is_clicked_shows_its_current_properties(flights: ServerProcess, live: MapPage) -> None:
    live.wait_until_drawn("f12")
    live.page.mouse.click(*live.where(8.0, 46.5))
    expect(live.page.locator("#card [data-title]")).to_have_text("F12")
    flights.publish("flights", aircraft("f12", 8.1, 46.5, altitude_ft=12_345))
    expect(live.page.locator("#card")).to_contain_text("12\u202f345")
    flights.request("DELETE", "/api/layers/flights/features/f12")
    expect(live.page.locator("#card")).to_be_hidden()
