"""Processes on the live map: from the menu of a layer, with the worker that comes with GeoStream."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from ..server_process import ServerProcess
from .conftest import remove_all
from .fleet import fleet
from .map_page import MapPage

TIMEOUT = 20_000
PLACE = [8.0, 46.5]
ELSEWHERE = [9.0, 46.9]


def plane(name: str, place: list[float]) -> dict[str, Any]:
    return {"type": "Feature", "id": name, "geometry": {"type": "Point", "coordinates": place}, "properties": {"callsign": name}}


@pytest.fixture
def site(site_with_worker: ServerProcess) -> Iterator[ServerProcess]:
    """A site whose worker works, with the layer `flights`."""
    site_with_worker.publish("flights", *fleet())
    yield site_with_worker
    for job in site_with_worker.request("GET", "/ogc/jobs?status=accepted,running")[1]["jobs"]:
        site_with_worker.request("DELETE", f"/ogc/jobs/{job['jobID']}")
    remove_all(site_with_worker)


@pytest.fixture(scope="module")
def live_site(site_with_worker: ServerProcess) -> ServerProcess:
    return site_with_worker


def choose(live: MapPage, action: str, layer: str = "flights") -> None:
    live.by_id(f"layer-{layer}-menu").click()
    live.page.get_by_role("button", name=action).click()


def run(live: MapPage) -> None:
    live.by_id("task-run").click()
    expect(live.page.locator("dialog")).to_have_count(0)


def hexagons(live: MapPage) -> list[int]:
    """How many features are in each."""
    found: list[int] = live.page.evaluate(
        "[...(geostream.subscriptions['open-flights-hotspots']?.features.values() ?? [])].map(({properties}) => properties.count)"
    )
    return sorted(found)


def test_a_buffer_of_what_is_in_view_appears_as_a_layer(site: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    live = open_map(site, "map=9/46/7.0")
    shown = live.page.evaluate("""() => [...geostream.subscriptions.flights.features.values()]
        .filter(({geometry}) => geostream.map.getBounds().contains(geometry.coordinates.toReversed())).map(({id}) => id)""")
    assert 0 < len(shown) < 20
    choose(live, "Buffer…")
    expect(live.by_id("task-what")).to_have_text(re.compile(f"in view: {len(shown)} feature"))
    live.by_id("task-distance").fill("3")
    run(live)
    expect(live.by_id("layer-open-flights-buffer-toggle")).to_be_checked(timeout=TIMEOUT)
    live.wait_for_features(set(shown), "open-flights-buffer")
    assert {each["geometry"]["type"] for each in live.features("open-flights-buffer").values()} == {"Polygon"}
    expect(live.by_id("map-jobs").get_by_role("status")).to_have_text("Done")


@pytest.mark.long_form(only=True)
def test_the_selected_feature_is_buffered_alone(site: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    live = open_map(site)
    live.wait_for(lambda: live.ink() > 0)
    live.page.mouse.click(*live.where(8.04 - 0.02, 46.0))
    expect(live.page.locator("#card [data-title]")).to_have_text("F02")
    choose(live, "Buffer…")
    expect(live.by_id("task-what")).to_have_value("selected")
    live.by_id("task-result").fill("open-selected")
    run(live)
    expect(live.by_id("layer-open-selected-toggle")).to_be_checked(timeout=TIMEOUT)
    live.wait_for_features({"f02"}, "open-selected")


@pytest.mark.long_form(only=True)
def test_what_is_wrong_is_said_in_the_dialog_or_at_the_job(site: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    live = open_map(site)
    choose(live, "Buffer…")
    live.by_id("task-distance").fill("99999")
    live.by_id("task-run").click()
    expect(live.by_id("task-problem")).to_have_text(re.compile("^Distance: .*maximum"))
    live.troubles.clear()  # the console says that a request was refused
    live.by_id("task-distance").fill("5")
    live.by_id("task-result").fill("no name/at all")
    live.by_id("task-run").click()
    expect(live.by_id("task-problem")).to_contain_text("letters, digits")
    live.by_id("task-result").fill("closed")
    run(live)
    failed = live.by_id("map-jobs").get_by_role("status")
    expect(failed).to_have_text(re.compile("^Failed · .*closed.*permission"), timeout=TIMEOUT)
    live.troubles.clear()


@pytest.mark.long_form(only=True)
def test_hotspots_start_follow_the_features_and_stop(site: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    site.publish("flights", plane("a", PLACE), plane("b", PLACE))
    live = open_map(site)
    live.filter("callsign IN ('a', 'b')")
    live.wait_for_features({"a", "b"})
    choose(live, "Hotspots…")
    run(live)
    live.wait_for(lambda: hexagons(live) == [2])
    site.publish("flights", plane("b", ELSEWHERE))
    live.wait_for(lambda: hexagons(live) == [1, 1])
    live.reload()
    expect(live.by_id("map-jobs").get_by_role("link")).to_have_text(re.compile("^Hotspots of"))
    choose(live, "Stop the hotspots")
    expect(live.by_id("map-jobs").get_by_role("status")).to_have_text(re.compile("^Stopped"))
    live.wait_for(lambda: hexagons(live) == [])


@pytest.mark.long_form(only=True)
def test_a_layer_of_others_is_offered_while_the_map_is_open_and_goes_again(site: ServerProcess, live: MapPage) -> None:
    site.publish("news", plane("a", PLACE))
    expect(live.by_id("layer-news-toggle")).not_to_be_checked()
    choose(live, "Hotspots…", "news")
    live.page.get_by_role("button", name="Cancel").click()
    site.request("DELETE", "/api/layers/news/")
    expect(live.by_id("layer-news-toggle")).to_have_count(0)


def test_the_menu_is_opened_and_left_by_the_keyboard(site: ServerProcess, live: MapPage) -> None:
    live.by_id("layer-flights-menu").focus()
    live.page.keyboard.press("Enter")
    live.page.keyboard.press("Tab")
    expect(live.page.get_by_role("button", name="Zoom to it")).to_be_focused()
    live.page.keyboard.press("Escape")
    expect(live.page.locator("#layer-menu")).to_be_hidden()
    expect(live.by_id("layer-flights-menu")).to_be_focused()
