"""A client that has left is gone, with its session, and so is what nobody looks at any more.

Nothing of it waits for Python's search for garbage in cycles.
"""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from geostream.asgi import application
from streaming.core import hub as hub_module
from streaming.core.filters import FilterSpec, compile_filter
from streaming.engine.runtime import Runtime
from streaming.features.aggregates import service as aggregates_module
from streaming.features.aggregates.service import Aggregates
from streaming.features.aggregates.spec import AggregateSpec
from streaming.features.layers import catalogue, layer_feed
from streaming.features.publishing import apublish
from streaming.server.http_protocol import HttpProtocol
from streaming.server.uvicorn_server import server_config
from streaming.topics.tokens import mint
from tests.geo_peer import point
from tests.server.requests import UPGRADE

pytestmark = pytest.mark.django_db(transaction=True)

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
SUBSCRIBE = {"type": "subscribe_features", "subscription_id": "s", "layer": "roads", "bbox": [0, 0, 9, 9]}


@pytest.fixture
async def connect(runtime: Runtime) -> AsyncIterator[Connect]:
    config: uvicorn.Config = server_config(host="127.0.0.1", port=0, max_message_bytes=1 << 20)
    config.load()
    config.loaded_app = application
    listening = await asyncio.get_running_loop().create_server(
        lambda: HttpProtocol(config=config, server_state=ServerState(), app_state={}), "127.0.0.1", 0
    )
    yield lambda: asyncio.open_connection(*listening.sockets[0].getsockname())
    listening.close()


def frame(message: object) -> bytes:
    payload = (message if isinstance(message, str) else json.dumps(message)).encode()
    assert len(payload) < 126
    return bytes((0x81, 0x80 | len(payload))) + bytes(4) + payload


@pytest.mark.parametrize(
    ("path", "sent", "answer"),
    [
        ("/ws", SUBSCRIBE, b"feature_data"),
        ("/websocket?vsn=2.0.0&userToken={token}", ["1", "1", "room:1", "phx_join", {}], b'"status":"ok"'),
        ("/ws/redis", "HELLO 2", b"commands"),
        ("/ws/files", {"type": "Ping"}, b"Pong"),
    ],
    ids=["features", "a Phoenix channel", "Redis commands", "files"],
)
async def test_a_client_that_has_left_is_gone(runtime: Runtime, connect: Connect, path: str, sent: object, answer: bytes) -> None:
    await apublish("roads", point("a", 1, 1))
    gc.disable()
    try:
        reader, writer = await connect()
        writer.write(UPGRADE.replace(b" /ws ", f" {path.format(token=mint('alice', 'room:*'))} ".encode()))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(sent))
        async with asyncio.timeout(5):
            await reader.readuntil(answer)
        (connection,) = runtime.connections.open.values()
        parts = [weakref.ref(each) for each in (connection, connection.session, *_subscriptions(connection.session))]
        del connection
        writer.transport.abort()
        async with asyncio.timeout(5):
            while any(part() is not None for part in parts):
                await asyncio.sleep(0.001)
    finally:
        gc.enable()


async def test_what_nobody_looks_at_is_gone_once_it_is_dropped(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    await apublish("roads", point("a", 1, 1))
    for module in (hub_module, aggregates_module):
        monkeypatch.setattr(module, "LINGER_SECONDS", -1.0)
    aggregates = runtime.service(Aggregates)
    gc.disable()
    try:
        layer = await runtime.hub.replica(layer_feed(await catalogue.get("roads")))
        async with aggregates.opened(layer, AggregateSpec("grid", 3, ()), compile_filter(FilterSpec()), "192.0.2.1") as aggregate:
            parts = [weakref.ref(layer), weakref.ref(aggregate)]
        del layer, aggregate
        await aggregates._drop_idle()
        await runtime.hub._drop_idle()
        await runtime.hub._drop_idle()
        assert [part() for part in parts] == [None, None]
    finally:
        gc.enable()


async def test_what_a_client_is_refused_is_gone(runtime: Runtime, connect: Connect, settings: Any) -> None:
    """With the exception that says so, in whose traceback is all that counted a layer of any size."""
    settings.GEOSTREAM_MAX_AGGREGATE_CELLS = 1
    await apublish("roads", [point("a", 1, 1), point("b", 9, 9)])
    gc.disable()
    try:
        layer = await runtime.hub.replica(layer_feed(await catalogue.get("roads")))
        reader, writer = await connect()
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        asked = {"type": "subscribe_features", "subscription_id": "s", "layer": "roads", "aggregate": {"by": "grid", "resolution": 9}}
        writer.write(frame(asked))
        async with asyncio.timeout(5):
            while not layer.observers:
                await asyncio.sleep(0)
            made = [weakref.ref(each) for each in layer.observers]
            await reader.readuntil(b"too_many_cells")
            while any(each() is not None for each in made):
                await asyncio.sleep(0.001)
        writer.transport.abort()
    finally:
        gc.enable()


def _subscriptions(session: object) -> Iterable[object]:
    return getattr(session, "subscriptions", {}).values()
