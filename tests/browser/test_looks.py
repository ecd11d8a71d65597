"""Light and dark, phones, keyboards, and people who do not want things to move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
from playwright.sync_api import expect

from ..profiles import only_long
from ..server_process import ServerProcess
from .fleet import fleet
from .map_page import OVERLAY, MapPage

TEXT = "getComputedStyle(document.body).color.match(/\\d+/g).slice(0, 3).map(Number).reduce((a, b) => a + b) > 382"


@pytest.fixture
def flights(live_site: ServerProcess) -> ServerProcess:
    return live_site


@pytest.mark.parametrize("scheme", [only_long("light"), "dark"])
def test_the_theme_is_that_of_the_system(
    flights: ServerProcess, live: MapPage, open_map: Callable[..., MapPage], screenshot: Callable[..., None], scheme: str
) -> None:
    page = live if scheme == "dark" else open_map(flights, color_scheme=scheme)
    assert page.page.evaluate(TEXT) is (scheme == "dark")
    page.wait_for(lambda: page.ink() > 0)
    screenshot(page, scheme)


def test_the_theme_follows_the_system_while_the_page_is_open(live: MapPage) -> None:
    live.wait_for(lambda: live.ink() > 0)
    drawn = live.pixels()
    live.page.emulate_media(color_scheme="light")
    live.wait(f"() => !({TEXT})")
    live.wait_for(lambda: live.pixels() != drawn)
    live.page.emulate_media(color_scheme="dark")
    live.wait(f"() => {TEXT}")


@pytest.mark.long_form(only=True)
def test_a_chosen_theme_is_remembered(flights: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    live = open_map(flights, color_scheme="dark")
    live.by_id("theme-toggle").click()
    live.wait(f"() => !({TEXT})")
    live.reload()
    live.wait(f"() => !({TEXT})")


@pytest.mark.long_form(only=True)
def test_on_a_phone_the_panel_is_a_sheet_that_opens_and_closes(phone: MapPage, screenshot: Callable[..., None]) -> None:
    panel, body = phone.page.locator("#panel"), phone.page.locator("#panel-body")
    expect(body).to_be_hidden()
    screenshot(phone, "phone-closed")
    phone.page.locator("#panel-toggle").tap()
    expect(body).to_be_visible()
    screenshot(phone, "phone-open")
    box = panel.bounding_box()
    assert box and (box["x"], box["width"], box["y"] + box["height"]) == (0, 390, 844)
    phone.page.locator("#panel-toggle").tap()
    expect(body).to_be_hidden()


def test_the_sheet_is_pulled_up_and_down(phone: MapPage) -> None:
    head, body = phone.page.locator("#panel-head"), phone.page.locator("#panel-body")
    top = (head.bounding_box() or {})["y"]
    phone.touch((195, top + 20), (195, top - 40), (195, top - 150))
    expect(body).to_be_visible()
    top = (head.bounding_box() or {})["y"]
    phone.touch((195, top + 20), (195, top + 80), (195, top + 170))
    expect(body).to_be_hidden()


def test_a_box_is_drawn_by_touch(phone: MapPage, screenshot: Callable[..., None]) -> None:
    phone.page.locator("#panel-toggle").tap()
    phone.by_id("draw-box").tap()
    expect(phone.page.locator("#panel-body")).to_be_hidden()
    phone.touch(phone.where(7.5, 46.7), phone.where(8.5, 46.2), phone.where(9.5, 45.8))
    phone.wait_for_features({"f02", "f03", "f12", "f13"})
    screenshot(phone, "phone-box")


def test_nothing_is_wider_than_a_phone(phone: MapPage) -> None:
    phone.page.locator("#panel-toggle").tap()
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert phone.page.evaluate("document.querySelector('#panel-body').scrollWidth <= document.querySelector('#panel-body').clientWidth")


def test_everything_can_be_reached_with_the_keyboard(flights: ServerProcess, live: MapPage) -> None:
    live.wait("async () => (await geostream.client.listSubscriptions()).some(({kind}) => kind === 'events')")
    flights.post("/api/events/", {"event_type": "custom", "payload": "something to scroll"})
    expect(live.by_id("events")).to_be_visible()
    wanted = {
        "theme-toggle",
        "layer-flights-toggle",
        "draw-box",
        "draw-polygon",
        "follow-view",
        "filter-input",
        "filter-apply",
        "events",
        "map",
    }
    reached = set()
    for _ in range(40):
        live.page.keyboard.press("Tab")
        reached.add(live.page.evaluate("document.activeElement.dataset.testid ?? document.activeElement.id"))
    assert wanted <= reached


@pytest.mark.long_form(only=True)
def test_the_keyboard_moves_the_map_and_shows_the_nearest_feature(live: MapPage) -> None:
    live.show(8, 46.52, 8.02)
    live.wait_until_drawn("f12")
    live.page.locator("#map").focus()
    live.page.keyboard.press("Enter")
    expect(live.page.locator("#card [data-title]")).to_have_text("F12")
    live.page.keyboard.press("Escape")
    expect(live.page.locator("#card")).to_be_hidden()
    live.page.keyboard.press("ArrowRight")
    live.wait("() => geostream.map.getCenter().lng > 8.1")


def test_a_switch_is_thrown_with_the_space_bar(live: MapPage) -> None:
    live.by_id("layer-flights-toggle").focus()
    live.page.keyboard.press("Space")
    live.wait("() => !geostream.subscriptions.flights")


@pytest.mark.parametrize(("motion", "moving"), [("no-preference", True), ("reduce", False)])
def test_features_glide_unless_motion_is_to_be_reduced(
    flights: ServerProcess, live: MapPage, motion: Literal["no-preference", "reduce"], moving: bool
) -> None:
    live.page.emulate_media(reduced_motion=motion)
    live.page.evaluate(f"""() => {{
      const note = () => (window.glides = {OVERLAY}.scenes[0].tracks.get('f00').moving);
      window.glides = undefined;
      geostream.live.addEventListener('changes', note, {{once: true}});
    }}""")
    flights.publish("flights", *fleet(step=3))
    live.wait("() => window.glides !== undefined")
    assert live.page.evaluate("window.glides") is moving
    live.page.emulate_media(reduced_motion="reduce")
