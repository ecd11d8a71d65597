"""The limits of connections: each refuses with its code, is counted, and stops at what it is for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework_simplejwt.tokens import AccessToken

from streaming.core.errors import ERRORS
from streaming.engine.addresses import network
from streaming.engine.conf import conf
from streaming.engine.rate_limit import MessageRate
from streaming.engine.runtime import Runtime
from tests.geo_peer import GeoPeer


async def later(runtime: Runtime, seconds: float) -> None:
    """What the process does once a second, as it would do it after some time."""
    for connection in list(runtime.connections.open.values()):
        connection.tick(time.monotonic() + seconds, asyncio.get_running_loop().time() + seconds)


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_address_of_ipv6_counts_as_its_network(address: str, counts_as: str) -> None:
    assert network(address) == counts_as


def test_a_process_takes_ten_thousand_connections_unless_told_otherwise() -> None:
    assert conf.MAX_CONNECTIONS == 10_000


async def test_a_full_process_takes_nobody(geo: Callable[..., GeoPeer], runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_MAX_CONNECTIONS = 1
    await geo().ask(type="ping", id=1)
    assert (await geo().closed())[0] == 4529
    assert runtime.connections.refused == {"process": 1}


async def test_addresses_of_one_ipv6_network_share_a_limit(runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_MAX_CONNECTIONS_PER_ADDRESS = 1
    runtime.connections.admit("2001:db8::1")
    runtime.connections._per_address[network("2001:db8::1")] += 1
    with pytest.raises(Exception, match="your address has as many"):
        runtime.connections.admit("2001:db8::2")
    runtime.connections.admit("2001:db8:0:1::2")


async def test_nobody_in_particular_has_to_say_something_in_time(geo: Callable[..., GeoPeer], runtime: Runtime) -> None:
    silent, talking = await geo().connect(), geo()
    await talking.ask(type="ping", id=1)
    await later(runtime, conf.HANDSHAKE_SECONDS - 1)
    assert len(runtime.connections.open) == 2
    await later(runtime, conf.HANDSHAKE_SECONDS + 1)
    assert await silent.closed() == (4509, "nothing was received since you connected")
    assert (await talking.ask(type="ping", id=2))["type"] == "pong"
    assert runtime.connections.refused == {"handshake": 1}


async def test_whoever_has_logged_in_may_be_silent(geo: Callable[..., GeoPeer], runtime: Runtime) -> None:
    user = await User.objects.acreate(username="alice")
    await geo(headers=[(b"authorization", f"Bearer {AccessToken.for_user(user)}".encode())]).connect()
    await later(runtime, conf.HANDSHAKE_SECONDS + 1)
    assert not any(connection.closing for connection in runtime.connections.open.values())


async def test_finding_out_who_connects_may_not_take_for_ever(
    geo: Callable[..., GeoPeer], runtime: Runtime, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(scope: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr("streaming.engine.websocket.authenticate", never)
    settings.GEOSTREAM_HANDSHAKE_SECONDS = 0.01
    assert (await geo().closed())[0] == 4509
    assert runtime.connections.refused == {"handshake": 1}
    assert (ERRORS["handshake_timeout"].status, ERRORS["handshake_timeout"].retry) == (408, True)


@pytest.mark.parametrize(("messages", "size", "waits"), [(10, 0, False), (11, 0, True), (1, 800, False), (1, 1000, True)])
async def test_messages_and_bytes_are_slowed_each_for_itself(
    messages: int, size: int, waits: bool, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_sleep(seconds: float) -> None:
        assert seconds > 0

    monkeypatch.setattr("streaming.engine.rate_limit.asyncio", SimpleNamespace(sleep=no_sleep))
    settings.GEOSTREAM_MESSAGES_PER_SECOND, settings.GEOSTREAM_BYTES_PER_SECOND, settings.GEOSTREAM_MESSAGES_BURST = 1.0, 100, 10
    pace = MessageRate()
    assert any([await pace.wait(size) for _ in range(messages)]) is waits


async def test_slowed_messages_are_counted(geo: Callable[..., GeoPeer], runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_MESSAGES_PER_SECOND, settings.GEOSTREAM_MESSAGES_BURST = 100.0, 1
    peer = geo()
    for number in range(3):
        await peer.ask(type="ping", id=number)
    assert runtime.connections.slowed > 0
