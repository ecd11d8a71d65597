"""Where the data may come from: a drawn box, a drawn polygon, or what the map shows."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from .map_page import MapPage


def test_a_drawn_box_keeps_what_is_inside(live: MapPage) -> None:
    live.draw_box((7.5, 45.8, 9.5, 46.7))
    live.wait_for_features({"f02", "f03", "f12", "f13"})
    live.wait_for(lambda: (live.number("count-left"), live.number("layer-flights-count")) == (16, 4))


def test_a_box_can_be_dragged_from_any_corner(live: MapPage) -> None:
    live.draw_box((9.5, 46.7, 7.5, 45.8))
    live.wait_for_features({"f02", "f03", "f12", "f13"})


def test_a_moved_box_sends_only_the_difference(live: MapPage) -> None:
    live.draw_box((7.5, 45.8, 9.5, 46.7))
    live.wait_for_features({"f02", "f03", "f12", "f13"})
    live.wait_for(lambda: live.number("count-left") == 16)
    live.draw_box((8.5, 45.8, 10.5, 46.7))
    live.wait_for_features({"f03", "f04", "f13", "f14"})
    live.wait_for(lambda: (live.number("count-added"), live.number("count-left")) == (22, 18))


def test_a_polygon_keeps_what_is_inside(live: MapPage, screenshot: Callable[..., None]) -> None:
    live.by_id("draw-polygon").click()
    for corner in ((7.5, 45.8), (10.3, 45.8), (10.3, 47.7)):
        live.page.mouse.click(*live.where(*corner))
    live.page.keyboard.press("Enter")
    live.wait_for_features({"f02", "f03", "f04", "f13", "f14", "f24"})
    screenshot(live, "polygon")


def test_a_polygon_is_closed_on_its_first_corner(live: MapPage) -> None:
    live.by_id("draw-polygon").click()
    for corner in ((7.5, 45.8), (8.5, 45.8), (8.5, 46.2), (7.5, 45.8)):
        live.page.mouse.click(*live.where(*corner))
    live.wait_for_features({"f02"})


def test_escape_gives_drawing_up(live: MapPage) -> None:
    live.by_id("draw-box").click()
    expect(live.by_id("draw-box")).to_have_attribute("aria-pressed", "true")
    live.page.keyboard.press("Escape")
    expect(live.by_id("draw-box")).to_have_attribute("aria-pressed", "false")


def test_a_cleared_area_brings_everything_back(live: MapPage) -> None:
    live.draw_box((7.5, 45.8, 9.5, 46.7))
    live.wait_for_features({"f02", "f03", "f12", "f13"})
    live.by_id("draw-clear").click()
    live.wait("() => geostream.subscriptions.flights.features.size === 20")
    expect(live.by_id("draw-clear")).to_be_disabled()


def test_following_the_view_receives_only_the_difference_of_a_pan(live: MapPage) -> None:
    live.show(9, 46.75, 8.0)
    live.by_id("follow-view").check()
    live.wait("() => geostream.subscriptions.flights.features.size < 20")
    held, left = set(live.features()), live.number("count-left")
    live.wait_for(lambda: live.number("count-left") == 20 - len(held))
    left, added = live.number("count-left"), live.number("count-added")
    live.page.locator("#map").focus()
    live.page.keyboard.press("Shift+ArrowRight")
    live.page.keyboard.press("Shift+ArrowRight")
    live.wait_for(lambda: set(live.features()) != held)
    now = set(live.features())
    assert held & now, "the pan was meant to keep some"
    live.wait_for(lambda: (live.number("count-left") - left, live.number("count-added") - added) == (len(held - now), len(now - held)))


def test_a_view_that_is_no_longer_followed_brings_everything_back(live: MapPage) -> None:
    live.show(9, 46.75, 8.0)
    live.by_id("follow-view").check()
    live.wait("() => geostream.subscriptions.flights.features.size < 20")
    live.by_id("follow-view").uncheck()
    live.wait("() => geostream.subscriptions.flights.features.size === 20")
