"""The pages of processes in a browser, with the worker that comes with GeoStream."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from ..profiles import only_long
from ..server_process import ServerProcess
from .map_page import WatchedPage

TIMEOUT = 20_000


def open_process(open_page: Callable[..., WatchedPage], site: ServerProcess, name: str) -> Page:
    """The page of a process."""
    page = open_page(f"{site.url}/ogc/processes?f=html").page
    page.locator(f"[data-process={name}]").click()
    expect(page.get_by_role("button", name="Run")).to_be_enabled()
    return page


@pytest.mark.long_form(only=True)
def test_a_buffer_is_drawn_run_and_shown_on_a_map(open_page: Callable[..., WatchedPage], site_with_worker: ServerProcess) -> None:
    page = open_process(open_page, site_with_worker, "buffer")
    page.get_by_role("button", name="Point").click()
    page.locator(".draw-map").click(position={"x": 300, "y": 150})
    expect(page.locator("textarea")).to_have_value(re.compile('{"type":"Point","coordinates":'))
    page.get_by_label("Distance in metres").fill("500000")
    page.get_by_label("Layer for the result").fill("open-circles")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_test_id("job-status")).to_have_text("successful", timeout=TIMEOUT)
    expect(page.get_by_test_id("result-map").locator("path.leaflet-interactive")).to_have_count(1)
    status, answer = site_with_worker.request("GET", "/api/layers/open-circles/features/")
    assert status == 200 and len(answer["features"]) == 1


def test_what_is_missing_or_wrong_is_said_at_its_field(open_page: Callable[..., WatchedPage], site_with_worker: ServerProcess) -> None:
    page = open_process(open_page, site_with_worker, "buffer")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("[data-input=distance] [role=alert]")).to_have_text("this is needed")
    page.locator("textarea").fill("{")
    page.get_by_label("Distance in metres").fill("9e9")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("[data-input=features] [role=alert]")).to_contain_text("not JSON")
    expect(page.locator("[data-input=distance] [role=alert]")).not_to_be_empty()
    expect(page.locator("#run")).to_be_hidden()


@pytest.mark.long_form(only=True)
def test_a_job_is_dismissed_from_its_page(open_page: Callable[..., WatchedPage], site_with_worker: ServerProcess) -> None:
    page = open_process(open_page, site_with_worker, "echo")
    page.locator("#input-text").fill("hello")
    page.locator("#input-pause").fill("30")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_test_id("job-status")).to_have_text(re.compile("running|waiting"), timeout=TIMEOUT)
    page.get_by_role("link", name="Open the job").click()
    page.get_by_test_id("dismiss").click()
    expect(page.get_by_test_id("job-status")).to_have_text("dismissed", timeout=TIMEOUT)


@pytest.mark.parametrize(
    "options",
    [only_long({"color_scheme": "light"}, id="light"), pytest.param({"viewport": {"width": 390, "height": 844}}, id="dark phone")],
)
def test_no_page_is_wider_than_its_screen(
    open_page: Callable[..., WatchedPage], site_with_worker: ServerProcess, options: dict[str, object]
) -> None:
    page = open_page("about:blank", **options).page
    for path in ("", "processes", "processes/buffer", "jobs", "api", "conformance"):
        page.goto(f"{site_with_worker.url}/ogc/{path}?f=html")
        expect(page.locator("main h1")).to_be_visible()
        if path == "processes/buffer":
            expect(page.get_by_role("button", name="Run")).to_be_enabled()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
