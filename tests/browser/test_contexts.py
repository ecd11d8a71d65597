"""A browser context that is used again has nothing of the test before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from .contexts import Contexts

SITE = "http://127.0.0.1:9/"
STORE = """async () => {
  document.cookie = 'a=1';
  localStorage.a = sessionStorage.a = '1';
  await (await caches.open('a')).put('/a', new Response('1'));
  await new Promise((done) => (indexedDB.open('a', 1).onsuccess = done));
}"""
STORED = """async () => [document.cookie, localStorage.length, sessionStorage.length, (await caches.keys()).length,
    (await indexedDB.databases()).length, (await navigator.permissions.query({name: 'geolocation'})).state]"""


def visit(context: BrowserContext) -> Page:
    page = context.new_page()
    page.route(SITE, lambda route: route.fulfill(content_type="text/html", body="<!doctype html>"))
    page.goto(SITE)
    return page


@pytest.fixture
def contexts(chromium: Browser) -> Iterator[Contexts]:
    before = chromium.contexts
    yield Contexts(chromium)
    for each in set(chromium.contexts) - set(before):
        each.close()


def test_nothing_is_left_in_it(contexts: Contexts) -> None:
    with contexts.lend() as context:
        fresh = visit(context).evaluate(STORED)
    with contexts.lend() as first:
        assert first is context
        first.route("**/intercepted", lambda route: route.fulfill(body="intercepted"))
        first.grant_permissions(["geolocation"])
        visit(first).close()
        page = visit(first)
        page.evaluate(STORE)
        assert page.evaluate(STORED) == ["a=1", 1, 1, 1, 1, "granted"]
    with contexts.lend() as second:
        assert second is first
        assert not second.pages
        page = visit(second)
        assert page.evaluate(STORED) == fresh
        assert page.evaluate("fetch('/intercepted').then(() => true, () => false)") is False


def test_two_at_a_time_are_not_the_same(contexts: Contexts) -> None:
    with contexts.lend() as first, contexts.lend() as second:
        assert first is not second


def test_other_options_are_another_context(contexts: Contexts) -> None:
    with contexts.lend() as first:
        pass
    with contexts.lend(color_scheme="light") as second:
        assert first is not second


def test_who_was_logged_in_is_not_any_more(contexts: Contexts) -> None:
    cookie = {"name": "a", "value": "1", "url": SITE}
    with contexts.lend(storage_state={"cookies": [cookie]}) as first:
        assert first.cookies()
    with contexts.lend() as second:
        assert second is first
        assert not second.cookies()
