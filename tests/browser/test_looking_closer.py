"""Finding things: the search field, the table of what is in view, following a feature; and showing the map to others."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from ..server_process import ServerProcess
from .fleet import aircraft
from .map_page import MapPage

CENTRE = "Object.values(geostream.map.getCenter())"


def centre(live: MapPage) -> tuple[float, float]:
    lat, lon = live.page.evaluate(CENTRE)
    return lat, lon


def test_a_feature_is_found_by_its_name_and_shown(live: MapPage) -> None:
    live.by_id("search").fill("f1")
    expect(live.page.locator("#search-results [role=option]")).to_have_count(5)
    live.page.keyboard.press("ArrowDown")
    live.page.keyboard.press("Enter")
    expect(live.page.locator("#card [data-title]")).to_have_text("F11")
    lat, lon = centre(live)
    assert abs(lat - 46.5) < 0.1 and abs(lon - 7) < 0.1


def test_a_place_is_found_with_or_without_its_accents(live: MapPage) -> None:
    live.by_id("search").fill("zuri")
    live.page.get_by_role("option", name="Zürich").click()
    live.wait(f"() => {{ const [lat, lon] = {CENTRE}; return Math.abs(lat - 47.38) < 0.05 && Math.abs(lon - 8.55) < 0.05; }}")


def test_what_is_not_there_is_said(live: MapPage) -> None:
    live.by_id("search").fill("nothing-like-this")
    expect(live.page.locator("#search-results")).to_contain_text("Nothing that is shown")
    live.by_id("search").fill("")
    expect(live.page.locator("#search-results")).to_be_hidden()


def test_what_is_in_view_is_a_table_that_is_sorted(live: MapPage) -> None:
    live.wait_until_drawn("f12")
    live.by_id("in-view").locator("summary").click()
    rows = live.by_id("in-view").locator("tbody tr")
    expect(rows.first).to_contain_text("F00")
    live.by_id("in-view").get_by_role("button", name="Value").click()
    live.by_id("in-view").get_by_role("button", name="Value").click()
    expect(rows.first).to_contain_text(re.compile("F3."))
    rows.first.get_by_role("button").click()
    expect(live.page.locator("#card [data-title]")).to_have_text(re.compile("F3."))
    live.by_id("in-view").locator("summary").click()


def test_a_feature_is_followed_until_the_map_is_dragged(live_site: ServerProcess, live: MapPage) -> None:
    live.show(8, 46.5, 7.0)
    live.wait_until_drawn("f11")
    live.page.locator("#map").focus()
    live.page.keyboard.press("Enter")
    live.page.get_by_role("button", name="Keep it in the middle").click()
    live_site.publish("flights", aircraft("f11", 7.4, 46.6))
    live.wait(f"() => {{ const [lat, lon] = {CENTRE}; return Math.abs(lat - 46.6) < 0.01 && Math.abs(lon - 7.4) < 0.01; }}")
    live.page.mouse.move(900, 560)
    live.page.mouse.down()
    live.page.mouse.move(940, 560, steps=4)
    live.page.mouse.up()
    expect(live.page.get_by_role("button", name="Keep it in the middle")).to_have_attribute("aria-pressed", "false")


def test_the_map_is_shared_and_embedded(live_site: ServerProcess, live: MapPage, open_map: Callable[..., MapPage]) -> None:
    live.page.get_by_role("button", name="Share or embed").click()
    link, markup = (live.page.get_by_label(name, exact=True).input_value() for name in ("Link", "Embed in a page"))
    assert link.startswith(f"{live_site.url}/#map=") and markup.startswith("<iframe ") and "&amp;embed=1" in markup
    live.page.get_by_role("button", name="Close").click()
    embedded = open_map(live_site, link.partition("#")[2] + "&embed=1")
    expect(embedded.page.locator("#panel")).to_be_hidden()


def test_the_map_fills_the_screen_and_goes_back(live: MapPage) -> None:
    button = live.page.get_by_role("button", name="Full screen")
    button.click()
    live.wait("() => document.fullscreenElement === document.documentElement")
    button.click()
    live.wait("() => document.fullscreenElement === null")
