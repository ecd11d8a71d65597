"""The operators' view in the admin: it shows what is, as it happens, and what is done there is done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, StorageState, expect
from websockets.sync.client import connect

from ..server_process import ServerProcess
from .contexts import Contexts
from .map_page import PHONE, WatchedPage
from .test_channels_page import HOSTILE, join

Open = Callable[..., WatchedPage]


@pytest.fixture
def open_operators(site: ServerProcess, open_page: Open, logged_in: StorageState) -> Open:
    """Opens the page as the superuser, once it shows something."""

    def open_(**options: object) -> WatchedPage:
        page = open_page(f"{site.url}/admin/live/", storage_state=logged_in, **options)
        expect(page.by_id("total-nodes")).to_have_text("1")
        return page

    return open_


@pytest.fixture(scope="module")
def kept_page(contexts: Contexts, shared_server: ServerProcess, logged_in: StorageState) -> Iterator[WatchedPage]:
    with contexts.lend(storage_state=logged_in) as context:
        page = WatchedPage(context.new_page())
        page.page.goto(f"{shared_server.url}/admin/live/")
        yield page


@pytest.fixture
def operators(kept_page: WatchedPage, site: ServerProcess) -> Iterator[WatchedPage]:
    """The page as the superuser sees it. Most tests look at the same, which is opened once."""
    kept_page.troubles.clear()
    kept_page.page.keyboard.press("Escape")
    expect(kept_page.by_id("connection-state")).to_have_text("Connected")
    expect(kept_page.by_id("total-nodes")).to_have_text("1")
    yield kept_page
    kept_page.check()


@pytest.fixture
def alice(site: ServerProcess, open_page: Open) -> WatchedPage:
    """Somebody on the topic room:1."""
    page = open_page(f"{site.url}/channels/test/?name=alice&topic=room:1")
    join(page)
    return page


def row_of(page: WatchedPage, topic: str) -> Locator:
    return page.page.locator("#topics tr", has=page.page.get_by_role("button", name=topic, exact=True))


def confirm(page: WatchedPage, verb: str) -> None:
    page.page.locator("#confirm").get_by_role("button", name=verb).click()


@pytest.mark.long_form(only=True)
def test_the_admin_leads_to_it(site: ServerProcess, open_page: Open, logged_in: StorageState) -> None:
    page = open_page(f"{site.url}/admin/", storage_state=logged_in)
    page.page.get_by_role("link", name="Live", exact=True).click()
    expect(page.by_id("connection-state")).to_have_text("Connected")


@pytest.mark.long_form(only=True)
def test_the_tile_counts_the_topics_that_are_listed(operators: WatchedPage, alice: WatchedPage) -> None:
    expect(row_of(operators, "room:1")).to_be_visible()
    expect(operators.by_id("total-topics")).to_have_text(str(operators.page.locator("#topics tr:not(.details)").count()))


def test_a_feed_that_is_followed_is_a_row(flights: ServerProcess, operators: WatchedPage) -> None:
    with connect(flights.ws_url) as client:
        client.send('{"type": "subscribe_features", "layer": "flights", "subscription_id": "s"}')
        row = operators.page.locator("#feeds tr", has_text="layer:flights")
        expect(row.locator("[data-heading=Subscriptions]")).to_have_text("1")
        expect(row.locator("[data-heading=Length]")).to_have_text("20")


def test_whoever_comes_and_goes_is_shown_at_once(operators: WatchedPage, site: ServerProcess, open_page: Open) -> None:
    visitor = open_page(f"{site.url}/channels/test/?name=bob&topic=room:2")
    join(visitor)
    expect(row_of(operators, "room:2").locator("[data-heading=Members]")).to_have_text("1")
    expect(operators.page.locator("#events .event-name").first).to_have_text("channel.join")
    expect(operators.page.locator("#sockets")).to_contain_text("bob")
    visitor.by_id("card-own").get_by_role("switch").uncheck()
    expect(row_of(operators, "room:2")).to_have_count(0)


@pytest.mark.long_form(only=True)
def test_a_kicked_member_is_told_and_stays_away(
    open_operators: Open, alice: WatchedPage, screenshot: Callable[..., None], documented: Callable[..., None]
) -> None:
    page = open_operators(color_scheme="light")
    page.page.get_by_role("button", name="room:1", exact=True).click()
    screenshot(page, "operators")
    documented(page, "live")
    page.page.get_by_role("button", name="Kick alice").click()
    confirm(page, "Kick")
    expect(page.page.locator("#outcome")).to_have_text("alice was kicked from room:1.")
    expect(alice.by_id("card-own").get_by_role("alert")).to_have_text("An operator has ended this.")
    expect(alice.by_id("card-own").get_by_role("switch")).not_to_be_checked()
    expect(row_of(page, "room:1")).to_have_count(0)
    page.page.goto(page.page.url.replace("live/", ""))
    expect(page.page.locator("#recent-actions-module")).to_contain_text("Kicked")


def test_nobody_is_kicked_before_it_is_confirmed(operators: WatchedPage, alice: WatchedPage) -> None:
    operators.page.get_by_role("button", name="room:1", exact=True).click()
    operators.page.get_by_role("button", name="Kick alice").click()
    confirm(operators, "Cancel")
    operators.page.get_by_role("button", name="Kick alice").click()
    operators.page.keyboard.press("Escape")
    listed = "new Promise((done) => operators.channel.push('channel.list', {}).receive('ok', () => done(true)))"
    assert operators.page.evaluate(listed)
    expect(alice.by_id("card-own")).to_have_attribute("data-state", "joined")


@pytest.mark.long_form(only=True)
def test_a_disconnected_client_comes_back_by_itself(operators: WatchedPage, alice: WatchedPage) -> None:
    before = alice.by_id("card-own").locator("[data-part=id]").inner_text()
    operators.page.get_by_role("button", name="Disconnect alice").click()
    confirm(operators, "Disconnect")
    alice.wait_for(lambda: alice.by_id("card-own").locator("[data-part=id]").inner_text() not in {before, "–"})


def test_a_broadcast_reaches_the_topic(operators: WatchedPage, alice: WatchedPage) -> None:
    operators.page.get_by_role("button", name="Broadcast on room:1").click()
    dialog = operators.page.locator("#broadcast")
    dialog.get_by_label("Event").fill("notice")
    dialog.get_by_label("Payload").fill("{")
    dialog.get_by_role("button", name="Broadcast").click()
    expect(dialog.get_by_role("alert")).to_contain_text("not JSON")
    dialog.get_by_label("Payload").fill('{"text": "closing at six"}')
    dialog.get_by_role("button", name="Broadcast").click()
    expect(dialog).to_be_hidden()
    expect(alice.by_id("card-own").locator(".event-payload")).to_have_text(['{"text":"closing at six"}'])


@pytest.mark.long_form(only=True)
def test_events_can_be_searched_and_taken_away(open_operators: Open, alice: WatchedPage, tmp_path: Path) -> None:
    page = open_operators()
    alice.by_id("card-own").get_by_role("switch").uncheck()
    events = page.page.locator("#events li")
    expect(events.filter(has_text="channel.remove")).to_have_count(1)
    page.page.get_by_label("Find events").fill("room:1 nothing like this")
    expect(events).to_have_count(0)
    page.page.get_by_label("Find events").fill("channel.leave")
    expect(events).to_have_count(1)
    with page.page.expect_download() as download:
        page.page.get_by_role("button", name="Export").click()
    download.value.save_as(tmp_path / "events.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines][-2:] == ["channel.leave", "channel.remove"]


def test_it_says_when_it_is_not_connected_and_begins_anew(operators: WatchedPage) -> None:
    operators.page.evaluate("operators.socket.disconnect()")
    expect(operators.by_id("connection-state")).to_contain_text("Not connected")
    expect(operators.page.locator("#age")).to_contain_text("What is shown is from")
    operators.page.evaluate("operators.socket.connect()")
    expect(operators.by_id("connection-state")).to_have_text("Connected")
    expect(operators.page.locator("#age")).to_have_text("")


def test_hostile_names_are_text(site: ServerProcess, open_operators: Open, open_page: Open) -> None:
    page = open_operators()
    visitor = open_page(f"{site.url}/channels/test/")
    visitor.page.get_by_label("You are").fill(HOSTILE)
    visitor.page.get_by_role("button", name="Change").click()
    visitor.by_id("card-own").get_by_label("Name of the topic").fill("<b>bold")
    join(visitor)
    page.page.get_by_role("button", name="<b>bold", exact=True).click()
    expect(page.page.locator(".agent b")).to_have_text([HOSTILE])
    assert page.page.evaluate("window.hacked") is None
    page.check()


@pytest.mark.long_form(only=True)
def test_a_phone_shows_every_row_as_a_card(open_operators: Open, alice: WatchedPage, screenshot: Callable[..., None]) -> None:
    page = open_operators(**PHONE)
    expect(row_of(page, "room:1")).to_be_visible()
    assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    screenshot(page, "operators-phone")
