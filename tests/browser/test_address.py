"""The address keeps what the user chose."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from ..server_process import ServerProcess
from .fleet import fleet
from .map_page import MapPage


def test_view_layers_filter_and_box_outlive_a_reload(flights: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    flights.publish("others", *fleet())
    live = open_map(flights)
    live.by_id("layer-others-toggle").uncheck()
    live.filter("altitude_ft > 20000")
    live.draw_box((7.5, 46.3, 9.5, 47.2))
    live.wait_for_features({"f22", "f23"})
    live.pan(-100, 50)
    live.wait("() => !location.hash.includes('/46.8000/') && location.hash.includes(`/${geostream.map.getCenter().lat.toFixed(4)}/`)")
    view = "[geostream.map.getZoom(), geostream.map.getCenter().lat, geostream.map.getCenter().lng]"
    before = live.page.evaluate(view)
    live.reload()
    live.wait_for_features({"f22", "f23"})
    assert live.page.evaluate(view) == pytest.approx(before, abs=0.01)
    expect(live.by_id("layer-others-toggle")).not_to_be_checked()
    expect(live.by_id("filter-input")).to_have_value("altitude_ft > 20000")
    expect(live.page.locator(".area-outline")).to_be_visible()


@pytest.mark.long_form(only=True)
def test_a_followed_view_outlives_a_reload(flights: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    live = open_map(flights, "map=9/46.75/8.0&follow=1")
    expect(live.by_id("follow-view")).to_be_checked()
    live.wait("() => geostream.subscriptions.flights.features.size < 20")


def test_without_an_address_the_map_goes_to_the_flights(flights: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    live = open_map(flights, "")
    live.wait("() => geostream.map.getZoom() > 5 && geostream.map.getBounds().contains([46.75, 8])")


@pytest.mark.long_form(only=True)
def test_an_address_with_a_filter_that_cannot_be_read_still_shows_the_layer(
    flights: ServerProcess, open_map: Callable[..., MapPage]
) -> None:
    live = open_map(flights, "map=7.5/46.8/8.0&filter=%28%28")
    live.wait("() => geostream.subscriptions.flights.features.size === 20")
    expect(live.by_id("filter-error")).to_be_visible()
