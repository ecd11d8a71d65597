"""The page Connections, with two server processes and clients of several dialects: it shows what is, and does what it says."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import pytest
from playwright.sync_api import expect
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from ..processes import manage
from ..server_process import ServerProcess
from .map_page import PHONE, WatchedPage
from .test_pages import log_in

Open = Callable[..., WatchedPage]
T = TypeVar("T")
BOX = [5.5, 45.5, 10.5, 48.0]
SECONDS = 20_000
MAKE_ALICE = """
from django.contrib.auth.models import User
from rest_framework_simplejwt.tokens import AccessToken
print(AccessToken.for_user(User.objects.get_or_create(username="alice")[0]))
"""


class Clients:
    """WebSocket clients on a loop of their own: Playwright has that of this thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self._open: list[Any] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def geo(self, server: ServerProcess, token: str, **filters: Any) -> Any:
        """A client of the geo protocol that follows the flights."""
        return self.run(self._geo(server, token, filters))

    def phoenix(self, server: ServerProcess) -> Any:
        return self.run(self._kept(f"ws://127.0.0.1:{server.port}/socket/websocket?vsn=2.0.0", {}))

    def code(self, socket: Any) -> int | None:
        """The code with which the server closes it."""
        return self.run(self._code(socket))

    def stop(self) -> None:
        for socket in self._open:
            self.loop.call_soon_threadsafe(socket.transport.abort)
        for socket in self._open:
            self.run(socket.wait_closed())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _kept(self, url: str, headers: dict[str, str]) -> Any:
        self._open.append(await connect(url, additional_headers=headers))
        return self._open[-1]

    async def _geo(self, server: ServerProcess, token: str, filters: dict[str, Any]) -> Any:
        socket = await self._kept(server.ws_url, {"Authorization": f"Bearer {token}"})
        with suppress(ConnectionClosed):  # who is banned may be told so before
            await socket.send(json.dumps({"type": "subscribe_features", "subscription_id": "s", "layer": "flights", **filters}))
        return socket

    @staticmethod
    async def _code(socket: Any) -> int | None:
        try:
            while True:
                await asyncio.wait_for(socket.recv(), 15)
        except ConnectionClosed as closed:
            return None if closed.rcvd is None else closed.rcvd.code


@pytest.fixture
def clients() -> Iterator[Clients]:
    clients = Clients()
    yield clients
    clients.stop()


@pytest.fixture
def other(site: ServerProcess) -> Iterator[ServerProcess]:
    """A second process of the same site."""
    with ServerProcess(site.data_dir, site.environment["REDIS_URL"], {}) as server:
        yield server


@pytest.fixture
def alice(flights: ServerProcess) -> str:
    """An access token of the user alice."""
    return manage("shell", "-c", MAKE_ALICE, env=flights.environment).stdout.split()[-1]


@pytest.fixture
def open_connections(flights: ServerProcess, open_page: Open) -> Open:
    """Opens the page as the superuser, once it shows the operator."""

    def open_(**options: object) -> WatchedPage:
        page = open_page(f"{flights.url}/admin/connections/", **options)
        log_in(page)
        expect(page.page.locator("#connections > tr").first).to_be_visible(timeout=SECONDS)
        return page

    return open_


def row_of(page: WatchedPage, name: str, dialect: str) -> Any:
    rows = page.page.locator("#connections > tr:not(.details)")
    return rows.filter(has=page.page.get_by_role("button", name=name, exact=True)).filter(has_text=dialect)


def act(page: WatchedPage, row: Any, action: str) -> None:
    if row.locator(".fold").get_attribute("aria-expanded") == "false":
        row.locator(".fold").click()
    page.page.locator("#connections > tr.details:not([hidden])").get_by_role("button", name=action).click()


@pytest.mark.timeout(120)  # a second server, and lists that are written once a second and read every two
def test_clients_of_two_processes_are_seen_cut_banned_and_let_back(
    flights: ServerProcess,
    other: ServerProcess,
    alice: str,
    clients: Clients,
    open_connections: Open,
    screenshot: Callable[..., None],
) -> None:
    page = open_connections()
    ship, visitor = clients.geo(other, alice, bbox=BOX), clients.phoenix(other)
    row = row_of(page, "alice", "geo")
    expect(row).to_have_count(1, timeout=SECONDS)
    expect(page.page.locator("#boxes path.leaflet-interactive")).to_have_count(1)
    expect(page.page.locator("#node option")).to_have_count(3)
    act(page, row, "What it holds")
    expect(page.page.locator("#picture [data-part=state]")).to_contain_text("1 to 20 of 20 features")
    expect(page.page.locator("#picture tbody tr")).to_have_count(20)
    screenshot(page, "connections-picture")
    page.page.locator("#picture").get_by_role("button", name="Close").click()
    screenshot(page, "connections")

    act(page, row_of(page, "anonymous", "phoenix"), "Disconnect")
    page.page.locator("#confirm").get_by_role("button", name="Disconnect").click()
    assert clients.code(visitor) == 1001

    act(page, row, "Ban the user")
    page.page.locator("#ban").get_by_role("button", name="Ban", exact=True).click()
    assert clients.code(ship) == 4411
    expect(page.page.locator("#bans tr")).to_contain_text("user alice")
    assert clients.code(clients.geo(flights, alice)) == 4411
    expect(page.page.locator("#boxes path.leaflet-interactive")).to_have_count(0, timeout=SECONDS)

    page.page.locator("#bans").get_by_role("button", name="Lift").click()
    expect(page.page.locator("#no-bans")).to_have_text("Nobody is banned.")
    clients.geo(other, alice, bbox=BOX)
    expect(page.page.locator("#boxes path.leaflet-interactive")).to_have_count(1, timeout=SECONDS)


@pytest.mark.long_form(only=True)
def test_an_operator_cannot_ban_themselves(open_connections: Open) -> None:
    page = open_connections()
    page.page.get_by_role("button", name="Ban…").click()
    page.page.locator("#ban").get_by_label("Name or address").fill("127.0.0.1")
    page.page.locator("#ban").get_by_role("button", name="Ban", exact=True).click()
    expect(page.page.locator("#ban [role=alert]")).to_contain_text("the address that you come from yourself")


@pytest.mark.long_form(only=True)
def test_a_phone_shows_it(open_connections: Open, screenshot: Callable[..., None]) -> None:
    page = open_connections(**PHONE)
    assert page.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    screenshot(page, "connections-phone")
