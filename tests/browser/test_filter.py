"""The attribute filter: applied, refused in place, cleared."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from ..server_process import ServerProcess
from .fleet import aircraft
from .map_page import MapPage

HIGH = {f"f3{column}" for column in range(5)}


def test_only_what_matches_stays(live: MapPage) -> None:
    live.filter("altitude_ft > 30000")
    live.wait_for_features(HIGH)
    live.wait_for(lambda: live.number("count-left") == 15)


def test_a_feature_comes_and_goes_with_its_properties(live_site: ServerProcess, live: MapPage) -> None:
    live.filter("altitude_ft > 30000")
    live.wait_for_features(HIGH)
    live_site.publish("flights", aircraft("f00", 6, 46, altitude_ft=31_000), aircraft("f30", 6, 47.5, altitude_ft=9_000))
    live.wait_for_features(HIGH - {"f30"} | {"f00"})


def test_a_filter_that_cannot_be_read_is_refused_in_place_and_the_last_one_stays(
    live_site: ServerProcess, live: MapPage, screenshot: Callable[..., None]
) -> None:
    live.filter("altitude_ft > 30000")
    live.wait_for_features(HIGH)
    live.filter("altitude_ft >>> 3")
    expect(live.by_id("filter-error")).to_be_visible()
    expect(live.by_id("filter-input")).to_have_attribute("aria-invalid", "true")
    screenshot(live, "filter-refused")
    live_site.publish("flights", aircraft("new", 8, 47, altitude_ft=35_000), aircraft("low", 8, 47, altitude_ft=5_000))
    live.wait_for_features(HIGH | {"new"})


def test_a_message_goes_with_the_next_filter_that_holds(live: MapPage) -> None:
    live.filter("nonsense(")
    expect(live.by_id("filter-error")).to_be_visible()
    live.filter("altitude_ft > 30000")
    expect(live.by_id("filter-error")).to_be_hidden()
    live.wait_for_features(HIGH)


def test_a_filter_is_cleared(live: MapPage) -> None:
    live.filter("altitude_ft > 30000")
    live.wait_for_features(HIGH)
    live.by_id("filter-clear").click()
    live.wait("() => geostream.subscriptions.flights.features.size === 20")
    expect(live.by_id("filter-input")).to_have_value("")


def test_an_example_is_applied_with_a_click(live: MapPage) -> None:
    live.page.get_by_role("button", name="altitude_ft > 30000").click()
    live.wait_for_features(HIGH)
