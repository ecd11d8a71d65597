"""The other pages: the admin and the documentation of the API."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import StorageState, expect

from ..server_process import ServerProcess
from .map_page import WatchedPage


def log_in(admin: WatchedPage) -> None:
    admin.log_in()


@pytest.mark.long_form(only=True)
def test_the_documentation_of_the_api_comes_from_this_server(
    site: ServerProcess, open_page: Callable[..., WatchedPage], screenshot: Callable[..., None]
) -> None:
    docs = open_page(f"{site.url}/api/docs/")
    expect(docs.page.locator(".opblock").first).to_be_visible()
    hosts = docs.page.evaluate("performance.getEntriesByType('resource').map(({name}) => new URL(name).origin)")
    assert set(hosts) == {site.url}
    screenshot(docs, "api-docs")


@pytest.mark.long_form(only=True)
def test_the_admin_lists_this_browsers_connection(
    flights: ServerProcess, open_page: Callable[..., WatchedPage], logged_in: StorageState, screenshot: Callable[..., None]
) -> None:
    open_page(flights.url)
    admin = open_page("about:blank", storage_state=logged_in)

    def listed() -> bool:
        admin.page.goto(f"{flights.url}/admin/streaming/connection/")
        return "127.0.0.1" in admin.page.locator("#changelist").inner_text()

    admin.wait_for(listed)
    screenshot(admin, "admin-connections")


@pytest.mark.long_form(only=True)
def test_the_admin_links_to_the_map_of_a_layer(
    flights: ServerProcess, open_page: Callable[..., WatchedPage], screenshot: Callable[..., None]
) -> None:
    admin = open_page(f"{flights.url}/admin/streaming/layer/")
    log_in(admin)
    screenshot(admin, "admin-layers")
    admin.page.get_by_role("link", name="show").first.click()
    admin.wait("() => globalThis.geostream?.subscriptions.flights?.features.size === 20")


def test_the_map_shows_who_is_logged_in_and_logs_out(
    flights: ServerProcess, open_page: Callable[..., WatchedPage], screenshot: Callable[..., None]
) -> None:
    page = open_page(flights.url)
    page.page.get_by_role("link", name="Log in").click()
    page.page.get_by_label("Username").fill("admin")
    page.page.get_by_label("Password").fill("admin")
    page.page.get_by_role("button", name="Log in").click()
    page.page.locator("#user-link", has_text="admin").click()
    expect(page.page.get_by_role("link", name="Administration")).to_be_visible()
    screenshot(page, "user-menu")
    page.page.get_by_role("button", name="Log out").click()
    expect(page.page.get_by_role("link", name="Log in")).to_be_visible()


@pytest.mark.long_form(only=True)
def test_a_layer_that_is_not_public_is_shown_to_those_who_may_read_it(
    flights: ServerProcess, open_page: Callable[..., WatchedPage]
) -> None:
    flights.request("PATCH", "/api/layers/flights", {"public": False})
    page = open_page(flights.url)
    expect(page.by_id("connection-state")).to_have_attribute("data-state", "open")
    expect(page.by_id("layer-flights-toggle")).to_have_count(0)
    page.page.get_by_role("link", name="Log in").click()
    page.page.get_by_label("Username").fill("admin")
    page.page.get_by_label("Password").fill("admin")
    page.page.get_by_role("button", name="Log in").click()
    page.wait("() => globalThis.geostream?.subscriptions.flights?.features.size === 20")
