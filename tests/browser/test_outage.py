"""A server that cannot be reached: what is shown is old, and the page says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from ..server_process import ServerProcess
from .map_page import MapPage


def test_features_dim_and_a_banner_says_how_old_they_are_and_dials_at_once(
    flights: ServerProcess, open_map: Callable[..., MapPage], screenshot: Callable[..., None]
) -> None:
    live = open_map(flights)
    with live.offline():
        flights.kill()
        expect(live.page.locator("#outage")).to_contain_text("What you see is", timeout=20_000)
        assert live.page.evaluate("getComputedStyle(document.querySelector('.feature-canvas')).filter") != "none"
        screenshot(live, "outage")
        live.wait("() => geostream.client.state === 'reconnecting'")
        flights.start()
        live.page.evaluate("setInterval(() => document.querySelector('[data-testid=reconnect]').click(), 300)")
        live.wait_until_live()
    expect(live.page.locator("#outage")).to_be_hidden()


@pytest.mark.long_form(only=True)
def test_a_visitor_sees_no_figures_for_developers(flights: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    assert open_map(flights).by_id("fps").is_hidden()
    asked = open_map(flights, "map=7/46.8/8&debug=1")
    assert asked.by_id("fps").get_attribute("hidden") is None
