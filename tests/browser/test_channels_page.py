"""The page for trying topics out, with the official client as it is published."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext, Locator, expect
from redis import Redis

from ..server_process import ServerProcess
from .fleet import fleet
from .map_page import PHONE, WatchedPage

Open = Callable[..., WatchedPage]
HOSTILE = '<img src=x onerror="window.hacked=1">constructor'


@pytest.fixture
def backend(site: ServerProcess) -> Iterator[Redis]:
    client = Redis.from_url(site.environment["REDIS_URL"])
    yield client
    client.close()


@pytest.fixture
def open_test_page(site: ServerProcess, open_page: Open) -> Open:
    """Opens the page under a name."""

    def open_(name: str, topic: str = "room:1", **options: object) -> WatchedPage:
        return open_page(f"{site.url}/channels/test/?name={quote(name)}&topic={quote(topic)}", **options)

    return open_


def card_of(page: WatchedPage, name: str = "own") -> Locator:
    return page.by_id(f"card-{name}")


def join(page: WatchedPage, name: str = "own") -> Locator:
    card = card_of(page, name)
    card.get_by_role("switch").check()
    expect(card).to_have_attribute("data-state", "joined")
    return card


def test_those_who_join_see_each_other(open_test_page: Open, screenshot: Callable[..., None]) -> None:
    alice, bob = open_test_page("alice"), open_test_page("bob")
    card = join(alice)
    expect(card.locator(".member")).to_have_text(["alice"])
    join(bob)
    expect(card.locator(".member")).to_have_text(["alice", "bob"])
    expect(card.locator(".member.own")).to_have_text("alice")
    screenshot(alice, "channels-test")
    card_of(bob).get_by_role("switch").uncheck()
    expect(card.locator(".member")).to_have_text(["alice"])
    expect(card_of(bob).locator("[data-part=id]")).to_have_text("–")


@pytest.mark.long_form(only=True)
def test_two_pages_of_one_person_are_one_member_twice(open_test_page: Open) -> None:
    first, second = open_test_page("alice"), open_test_page("alice")
    card = join(first)
    join(second)
    expect(card.locator(".member")).to_have_text(["alice×2"])
    expect(card.locator("[data-part=count]")).to_have_text("2")


def test_what_a_backend_says_is_shown_newest_first(open_test_page: Open, backend: Redis) -> None:
    alice = open_test_page("alice")
    card = join(alice)
    backend.publish("to:room:1:news", '{"text": "one"}')
    backend.publish("to:room:1:bytes", b"\x00\x01\x02")
    expect(card.locator(".event-name")).to_have_text(["bytes", "news"])
    expect(card.locator(".event-payload")).to_have_text(["binary, 3 bytes", '{"text":"one"}'])


def test_messages_wait_while_somebody_reads(open_test_page: Open, backend: Redis) -> None:
    alice = open_test_page("alice")
    card = join(alice)
    card.get_by_role("button", name="Pause").click()
    backend.publish("to:room:1:news", "{}")
    expect(card.get_by_role("button", name="Go on (1 new)")).to_be_visible()
    expect(card.locator(".event-name")).to_have_count(0)
    card.get_by_role("button", name="Go on").click()
    expect(card.locator(".event-name")).to_have_text(["news"])


def test_what_is_sent_reaches_backends_and_is_answered(open_test_page: Open, backend: Redis) -> None:
    with backend.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        pubsub.psubscribe("from:room:1:*")
        assert pubsub.get_message(timeout=5)
        card = join(open_test_page("alice"))
        card.get_by_label("Event: ").fill("ask")
        card.get_by_label("Payload as JSON: ").fill('{"of": [1, 2]}')
        card.get_by_role("button", name="Send").click()
        expect(card.locator("[data-part=answer]")).to_have_text("ok {}")
        heard = pubsub.get_message(timeout=5)
    assert (heard["channel"], heard["data"]) == (b"from:room:1:ask", b'{"of":[1,2]}')


@pytest.mark.long_form(only=True)
def test_what_is_not_json_is_not_sent(open_test_page: Open) -> None:
    card = join(open_test_page("alice"))
    card.get_by_label("Payload as JSON: ").fill("{")
    card.get_by_role("button", name="Send").click()
    expect(card.locator("[data-part=answer]")).to_contain_text("Not JSON")


def test_the_topic_system_tells_the_time(open_test_page: Open) -> None:
    card = join(open_test_page("alice"), "system")
    expect(card.locator("[data-part=counter]")).to_contain_text("tick")
    expect(card.locator("[data-part=clock]")).not_to_have_text("–")


def test_a_refused_token_is_explained(open_test_page: Open) -> None:
    page = open_test_page("alice", "admin")
    card = card_of(page)
    card.get_by_role("switch").click()
    expect(card.get_by_role("alert")).to_contain_text("log in")
    expect(card.get_by_role("switch")).not_to_be_checked()
    assert [trouble for trouble in page.troubles if "/token" not in trouble] == []
    page.troubles.clear()


def test_a_layer_is_joined_without_a_token(flights: ServerProcess, open_test_page: Open) -> None:
    page = open_test_page("alice", "layer:flights")
    page.page.route("**/token", lambda route: route.fulfill(status=403, json={"code": "forbidden", "message": "not you"}))
    card = join(page)
    flights.publish("flights", *fleet(1))
    expect(card.locator(".event-name").first).to_have_text("updated")
    assert [trouble for trouble in page.troubles if "/token" not in trouble] == []
    page.troubles.clear()


def test_a_connection_that_breaks_comes_back_with_its_topics(open_test_page: Open) -> None:
    page = open_test_page("alice")
    card = join(page)
    before = card.locator("[data-part=id]").inner_text()
    page.page.evaluate("channels.socket.conn.close(4000, 'broken')")
    page.wait_for(lambda: card.locator("[data-part=id]").inner_text() not in {before, "–"})
    expect(page.by_id("connection-state")).to_have_text("Connected")
    expect(card.locator(".member")).to_have_text(["alice"])


@pytest.mark.long_form(only=True)
def test_hostile_names_and_payloads_are_text(
    site: ServerProcess, new_context: Callable[..., BrowserContext], open_test_page: Open, backend: Redis
) -> None:
    page = WatchedPage(new_context().new_page())
    page.page.goto(f"{site.url}/channels/test/?name={quote(HOSTILE)}&topic={quote('<b>room')}")
    card = join(page)
    for name in ("alice", "bob"):
        join(open_test_page(name, "<b>room"))
    expect(card.locator(".member")).to_have_text([HOSTILE, "alice", "bob"])
    backend.publish(f"to:<b>room:{HOSTILE}", f'["{HOSTILE.replace(chr(34), "")}"]')
    expect(card.locator(".event-name")).to_have_text([HOSTILE])
    page.by_id("theme-toggle").click()
    assert page.page.evaluate("window.hacked") is None
    page.check()


def test_a_phone_shows_one_card_below_the_other(open_test_page: Open, screenshot: Callable[..., None]) -> None:
    page = open_test_page("alice", **PHONE)
    join(page)
    assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    screenshot(page, "channels-test-phone")
