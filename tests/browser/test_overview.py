"""The admin's first page: charts that move, of two processes and several dialects, and what it says when something is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
import redis as redis_client
from playwright.sync_api import Locator, expect
from websockets.sync.client import connect

from ..core.restarting import RestartingRedis
from ..server_process import ServerProcess
from .conftest import KNOWN_FILES
from .fleet import fleet
from .map_page import PHONE, WatchedPage
from .test_pages import log_in

Open = Callable[..., WatchedPage]
STEP_SECONDS = 60
"""A frame comes every five seconds, on a busy machine later."""


class Pair(NamedTuple):
    """Two processes of one site."""

    redis: RestartingRedis
    first: ServerProcess
    second: ServerProcess


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("overview")
    shutil.copy(migrated_database, folder / "geostream.sqlite3")
    quick = {**KNOWN_FILES, "GEOSTREAM_NODE_TTL_SECONDS": "3", "GEOSTREAM_RECORD_SECONDS": "0.2", "GEOSTREAM_ALERT_SECONDS": "0"}
    redis = RestartingRedis(folder)
    with ServerProcess(folder, redis.url, quick) as first, ServerProcess(folder, redis.url, quick) as second:
        yield Pair(redis, first, second)
    redis.stop()


@pytest.fixture
def overview(pair: Pair, open_page: Open) -> Callable[..., WatchedPage]:
    """Opens the page of the first process, once it shows charts."""

    def open_(**options: object) -> WatchedPage:
        page = open_page(f"{pair.first.url}/admin/", **options)
        log_in(page)
        expect(page.page.locator("#nodes tr").first).to_be_visible(timeout=STEP_SECONDS * 1000)
        return page

    return open_


def chart(page: WatchedPage, title: str) -> Locator:
    return page.page.locator(f'[data-chart="{title}"]')


@pytest.mark.long_form(only=True)
def test_charts_move_with_clients_of_both_processes(
    overview: Callable[..., WatchedPage], pair: Pair, documented: Callable[..., None]
) -> None:
    page = overview(color_scheme="light", viewport={"width": 1280, "height": 1000})
    with ExitStack() as clients:
        for server, path in ((pair.first, ""), (pair.first, ""), (pair.second, "/redis")):
            clients.enter_context(connect(server.ws_url + path))
        rows = chart(page, "Connections").locator("tbody tr")
        expect(rows.filter(has_text="geo").locator("td").first).to_have_text("2", timeout=STEP_SECONDS * 1000)
        expect(rows.filter(has_text="redis").locator("td").first).to_have_text("1", timeout=STEP_SECONDS * 1000)
        users = page.page.get_by_role("region", name="Connections by user")
        expect(users.locator("tr").filter(has_text="anonymous").locator("td")).to_have_text("3", timeout=STEP_SECONDS * 1000)
        pair.first.publish("flights", *fleet())
        expect(page.by_id("health-word")).to_have_text("All is well.")
        documented(page, "overview")
        page.page.get_by_label("by process").check()
        expect(rows).to_have_count(2)


@pytest.mark.long_form(only=True)
def test_another_period_has_its_own_frames(overview: Callable[..., WatchedPage]) -> None:
    page = overview()
    before = page.page.evaluate("overview.shown().series.times.length")
    page.page.get_by_text("1 hour").click()
    page.wait("overview.shown().series.period === '1h'")
    assert page.page.evaluate("overview.shown().series.times.length") < before


def test_an_alert_that_is_told_is_shown_until_it_is_resolved(overview: Callable[..., WatchedPage], pair: Pair) -> None:
    page, alert = overview(), {"id": "7", "severity": "warning", "message": "Backlog (all processes): 12, > 10"}
    with redis_client.Redis.from_url(pair.redis.url) as backend:
        backend.publish("to:monitor:alert", json.dumps({**alert, "state": "firing"}))
        expect(page.page.locator("#problems")).to_contain_text("Alert: Backlog")
        backend.publish("to:monitor:alert", json.dumps({**alert, "state": "resolved"}))
        expect(page.page.locator("#problems")).not_to_contain_text("Alert")


@pytest.mark.long_form(only=True)
def test_a_process_that_was_killed_is_shown(overview: Callable[..., WatchedPage], pair: Pair, documented: Callable[..., None]) -> None:
    page = overview(viewport={"width": 1280, "height": 1000})
    pair.second.kill()
    expect(page.page.locator("#problems")).to_contain_text("stopped without a word", timeout=STEP_SECONDS * 1000)
    expect(page.by_id("health-word")).to_have_text("Something is wrong.")
    expect(page.page.locator("#nodes tr[data-state=silent]")).to_have_count(1)
    documented(page, "overview-wrong")
    pair.second.start()
    expect(page.by_id("health-word")).to_have_text("All is well, with a note.", timeout=STEP_SECONDS * 1000)


@pytest.mark.long_form(only=True)
def test_a_phone_shows_it_without_scrolling_sideways(overview: Callable[..., WatchedPage], documented: Callable[..., None]) -> None:
    page = overview(**PHONE)
    expect(chart(page, "Connections").locator("canvas")).to_be_visible()
    assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    documented(page, "overview-phone")


@pytest.mark.long_form(only=True)
def test_it_says_that_redis_is_away(overview: Callable[..., WatchedPage], pair: Pair) -> None:
    page = overview()
    with pair.redis.silent():
        expect(page.page.locator("#problems")).to_contain_text("Redis does not answer", timeout=STEP_SECONDS * 1000)
        expect(page.page.locator("#nodes tr")).to_have_count(1)
        page.page.reload()
        expect(page.page.locator("#problems")).to_contain_text("Redis does not answer", timeout=STEP_SECONDS * 1000)
    expect(page.page.locator("#problems")).not_to_contain_text("Redis does not answer", timeout=STEP_SECONDS * 1000)
