"""The attribute filter: applied, refused in place, cleared."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from ..server_process import ServerProcess
from .fleet import Feature, aircraft, renew
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
    expect(live.by_id("filter-clear")).to_be_hidden()


def test_an_example_is_applied_with_a_click(live: MapPage) -> None:
    live.page.get_by_role("button", name="altitude_ft > 30000").click()
    live.wait_for_features(HIGH)


CITY: Feature = {
    "type": "Feature",
    "id": "zurich",
    "geometry": {"type": "Polygon", "coordinates": [[[8.4, 47.3], [8.7, 47.3], [8.7, 47.5], [8.4, 47.3]]]},
    "properties": {"name": "Zürich", "pop_est": 400_000},
}


@pytest.fixture(scope="module", autouse=True)
def cities(live_site: ServerProcess) -> ServerProcess:
    live_site.publish("cities", CITY)
    return live_site


def test_a_layer_without_the_property_stays_as_it_is_and_is_named(live: MapPage) -> None:
    live.filter("altitude_ft > 30000")
    live.wait_for_features(HIGH)
    expect(live.by_id("filter-scope")).to_contain_text("Not for cities")
    live.wait_for_features({"zurich"}, "cities")
    live.filter("pop_est > 1")
    expect(live.by_id("filter-scope")).to_contain_text("Not for flights")
    live.wait("() => geostream.subscriptions.flights.features.size === 20")


def test_a_property_that_nothing_has_is_refused_with_those_that_there_are(live: MapPage) -> None:
    live.filter("speed > 10")
    expect(live.by_id("filter-error")).to_contain_text("Nothing has speed. There is: altitude_ft")
    live.wait("() => geostream.subscriptions.flights.features.size === 20")


def test_names_of_properties_are_offered_while_one_types(live: MapPage) -> None:
    live.by_id("filter-input").fill("altitude_ft > 30000 and call")
    offered = live.page.locator("#filter-words option")
    expect(offered).to_have_count(1)
    expect(offered).to_have_attribute("value", "altitude_ft > 30000 and callsign")


@pytest.mark.long_form(only=True)
def test_an_address_with_a_property_that_nothing_has_shows_everything_and_says_so(
    live_site: ServerProcess, open_map: Callable[..., MapPage]
) -> None:
    renew(live_site)
    live = open_map(live_site, "map=7.5/46.8/8.0&layers=flights&filter=speed > 10")
    expect(live.by_id("filter-error")).to_contain_text("Nothing has speed")
    live.wait("() => geostream.subscriptions.flights.features.size === 20")
