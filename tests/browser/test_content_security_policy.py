"""All pages have a strict policy, and keep it. Every other test of pages holds it, too: a violation is an error on the console."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import StorageState, expect

from ..server_process import ServerProcess
from .fleet import fleet
from .map_page import MapPage, WatchedPage

pytestmark = pytest.mark.long_form(only=True)

PAGES = ("", "files/", "channels/test/", "ogc/?f=html", "ogc/processes?f=html", "ogc/jobs?f=html", "ogc/api?f=html")
ADMIN = (
    "",
    "operators/",
    "streaming/layer/",
    "streaming/layer/add/",
    "streaming/tileset/add/",
    "streaming/connection/",
    "streaming/filechange/folder/",
    "auth/user/add/",
    "auth/user/1/change/",
    "processes/job/",
    "processes/workertoken/add/",
)


def policy(page: WatchedPage, url: str) -> str:
    """Of a page, once it has loaded everything."""
    answer = page.page.goto(url, wait_until="load")
    assert answer is not None
    return answer.headers.get("content-security-policy", "")


def is_strict(text: str) -> bool:
    return "script-src 'self';" in text and "style-src 'self';" in text and "unsafe" not in text


def test_the_pages_of_the_site_are_strict(flights: ServerProcess, open_page: Callable[..., WatchedPage]) -> None:
    page = open_page("about:blank")
    for path in PAGES:
        assert is_strict(policy(page, f"{flights.url}/{path}")), path


def test_the_admin_is_strict(flights: ServerProcess, open_page: Callable[..., WatchedPage], logged_in: StorageState) -> None:
    page = open_page("about:blank", storage_state=logged_in)
    for path in ADMIN:
        assert is_strict(policy(page, f"{flights.url}/admin/{path}")), path


def test_the_documentation_of_the_api_may_have_what_is_inline_in_its_template(
    flights: ServerProcess, open_page: Callable[..., WatchedPage]
) -> None:
    docs = open_page("about:blank")
    assert "'sha256-" in policy(docs, f"{flights.url}/api/docs/")
    expect(docs.page.locator(".opblock").first).to_be_visible()


def test_a_script_that_gets_into_a_page_does_not_run(flights: ServerProcess, open_page: Callable[..., WatchedPage]) -> None:
    live = open_page(flights.url)
    live.page.evaluate("""() => {
        const script = document.createElement('script');
        script.textContent = 'window.hacked = 1';
        document.body.append(script);
        document.body.insertAdjacentHTML('beforeend', '<img src="/favicon.ico" onload="window.hacked = 1">');
    }""")
    live.wait_for(lambda: len(live.troubles) >= 2)
    assert live.page.evaluate("window.hacked") is None
    assert all("Content Security Policy" in each for each in live.troubles)
    live.troubles.clear()


def test_the_map_is_live_under_it(flights: ServerProcess, open_map: Callable[..., MapPage]) -> None:
    live = open_map(flights)
    flights.publish("flights", *fleet(step=2))
    live.wait("() => geostream.subscriptions.flights.get('f00').geometry.coordinates[0] === 6.04")
    live.wait_for(lambda: live.ink() > 0)
    live.draw_box((7.5, 45.8, 9.5, 46.7))
    live.page.mouse.click(*live.where(8.04, 46.0))
    expect(live.page.locator("#card [data-title]")).to_have_text("F02")
    live.by_id("theme-toggle").click()
