"""The pages Feeds and Layers: figures that move, a log that is replayed, a layer seen through a filter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import StorageState, expect

from ..geo_peer import point
from ..server_process import ServerProcess
from .map_page import PHONE, WatchedPage

Open = Callable[..., WatchedPage]


@pytest.fixture
def fleet(site: ServerProcess) -> ServerProcess:
    site.publish("fleet", point("a", 8, 47, speed=10), point("b", 9, 48, speed=90))
    site.publish("fleet", point("a", 8.5, 47, speed=20))
    return site


@pytest.fixture
def opened(open_page: Open, fleet: ServerProcess, logged_in: StorageState) -> Open:
    """Opens a page of the admin."""
    return lambda path, **options: open_page(f"{fleet.url}/admin/{path}", storage_state=logged_in, **options)


def test_the_figures_of_a_feed_move(fleet: ServerProcess, opened: Open, documented: Callable[..., None]) -> None:
    page = opened("feeds/?q=fleet")
    row = page.page.locator('tr[data-feed="layer:fleet"]')
    expect(row.locator("[data-part=rate]")).to_have_text("0")
    fleet.publish("fleet", point("c", 10, 49))
    expect(row.locator("[data-part=items]")).to_have_text("3")
    documented(page, "feeds")
    row.get_by_role("link").click()
    expect(page.page.locator("#log tr")).to_have_count(4)
    page.check()


@pytest.mark.long_form(only=True)
def test_a_log_is_replayed_from_a_cursor(fleet: ServerProcess, opened: Open, documented: Callable[..., None]) -> None:
    page = opened("feeds/feed/?name=layer:fleet")
    page.page.get_by_label("Speed").select_option("0")
    page.page.get_by_role("button", name="Play").click()
    expect(page.page.locator("#replayed")).to_contain_text("3 of 3 lines")
    expect(page.page.locator("#picture")).to_contain_text('"speed":20')
    expect(page.page.locator("#picture tr")).to_have_count(2)
    documented(page, "feed")


@pytest.mark.long_form(only=True)
def test_a_layer_is_seen_through_a_filter(fleet: ServerProcess, opened: Open, documented: Callable[..., None]) -> None:
    page = opened("layers/fleet/")
    expect(page.page.locator("#counted")).to_have_text("2 features")
    page.page.get_by_label("CQL2").fill("speed > 50")
    page.page.get_by_role("button", name="Subscribe").click()
    expect(page.page.locator("#picture tr")).to_have_count(1)
    fleet.publish("fleet", point("a", 8.6, 47, speed=120))
    expect(page.page.locator("#picture tr")).to_have_count(2)
    documented(page, "layer")
    page.page.get_by_label("CQL2").fill("speed >")
    page.page.get_by_role("button", name="Subscribe").click()
    expect(page.page.locator("#problem")).to_contain_text("invalid_filter")


@pytest.mark.long_form(only=True)
def test_a_phone_shows_them_too(fleet: ServerProcess, opened: Open, screenshot: Callable[..., None]) -> None:
    page = opened("layers/fleet/", **PHONE)
    expect(page.page.locator("#counted")).to_have_text("2 features")
    for path in ("layers/", "feeds/", "feeds/feed/?name=layer:fleet", "layers/fleet/"):
        page.page.goto(f"{fleet.url}/admin/{path}")
        assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    expect(page.page.locator("#counted")).to_have_text("2 features")
    screenshot(page, "layer-phone")
