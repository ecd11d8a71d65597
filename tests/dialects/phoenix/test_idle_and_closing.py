"""How connections end, and how they are kept from ending: silence, tokens, operators, limits, and the server's own end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from streaming.server.embedded_redis import RedisService
from streaming.topics.service import Topics
from streaming.topics.tokens import mint
from tests.e2e.conftest import Serve
from tests.server_process import ServerProcess

from .backend import Backend
from .conftest import Connect
from .peer import PhoenixPeer
from .sockets import PhoenixSocket


def after(peer: PhoenixPeer, seconds: float) -> None:
    """What the engine does once a second, as if so much time had passed in silence."""
    peer.connection.tick(time.monotonic() + seconds, asyncio.get_running_loop().time() + seconds)


# -- silence -------------------------------------------------------------------


async def test_silence_of_a_minute_closes(peer: PhoenixPeer) -> None:
    after(peer, 59)
    await peer.receive_nothing()
    after(peer, 61)
    code, reason = await peer.closed()
    assert code == 1001 and reason


async def test_joined_topics_do_not_keep_a_silent_client(peer: PhoenixPeer) -> None:
    await peer.join("room:1", token=mint("alice", "room:1"))
    after(peer, 61)
    assert (await peer.closed())[0] == 1001


async def test_silence_can_be_allowed(phoenix: Connect, settings: Any) -> None:
    settings.GEOSTREAM_PHOENIX_IDLE_SECONDS = settings.GEOSTREAM_HANDSHAKE_SECONDS = 0
    peer = await phoenix()
    after(peer, 100_000)
    await peer.receive_nothing()


# -- tokens --------------------------------------------------------------------


async def test_a_member_is_warned_once_before_its_token_ends(peer: PhoenixPeer) -> None:
    await peer.join("room:1", token=mint("alice", "room:1", 50))
    await peer.receive_event("presence_diff")
    for _ in range(2):
        peer.connection.session.tick(time.time())
    join_ref, ref, _, event, payload = await peer.receive()
    assert (join_ref, ref, event) == ("1", None, "token_expiring")
    assert 48 <= payload["expires_in"] <= 50
    await peer.receive_nothing()


async def test_a_channel_ends_with_its_token_and_the_socket_stays(peer: PhoenixPeer) -> None:
    await peer.join("room:1", token=mint("alice", "room:1", 100))
    await peer.join("room:2", "2", token=mint("alice", "room:2", 200))
    await peer.rest()
    peer.connection.session.tick(time.time() + 101)
    assert (await peer.receive_event("phx_error")) == ["1", "1", "room:1", "phx_error", {"reason": "token expired"}]
    assert await peer.ask("2", "3", "room:2", "ev", {}) == ("ok", {})
    assert await peer.ask("1", "4", "room:1", "ev", {}) == ("error", {"reason": "unmatched topic"})


@pytest.mark.parametrize("name", ["access_token", "token"])
async def test_a_token_can_be_renewed(peer: PhoenixPeer, backend: Backend, name: str) -> None:
    await peer.join("room:1", token=mint("alice", "room:1", 50))
    await backend.everything()
    assert await peer.ask("1", "2", "room:1", "access_token", {name: mint("alice", "room:1", 500)}) == ("ok", {})
    await peer.rest()
    peer.connection.session.tick(time.time() + 51)
    await peer.receive_nothing()
    assert not any(channel.startswith("from:") for channel, _ in await backend.everything())


async def test_a_token_that_would_not_open_the_topic_renews_nothing(peer: PhoenixPeer) -> None:
    await peer.join("room:1", token=mint("alice", "room:1", 100))
    expired = mint("alice", "room:1", -1)
    status, response = await peer.ask("1", "2", "room:1", "access_token", {"token": expired})
    assert (status, response) == ("error", {"reason": "unauthorized", "detail": "token expired"})
    others = [mint("bob", "room:1"), mint("alice", "room:2"), "garbage", 5, None]
    for payload in [*({"access_token": token} for token in others), {}, [], None, "text"]:
        assert await peer.ask("1", "2", "room:1", "access_token", payload) == ("error", {"reason": "unauthorized"}), payload
    peer.connection.session.tick(time.time() + 101)
    await peer.receive_event("phx_error")


async def test_a_connection_ends_with_the_login_it_began_with(peer: PhoenixPeer) -> None:
    await peer.join("room:1", token=mint("alice", "room:1"))
    await peer.receive_event("presence_diff")
    peer.connection.principal = replace(peer.connection.principal, expires=time.time() - 1)
    after(peer, 0)
    assert await peer.receive() == ["1", "1", "room:1", "phx_error", {"reason": "token_expired"}]
    assert (await peer.closed())[0] == 1008


# -- limits --------------------------------------------------------------------


async def test_a_frame_that_is_too_big_closes(phoenix: Connect, settings: Any) -> None:
    settings.GEOSTREAM_MAX_MESSAGE_BYTES = 1000
    peer = await phoenix()
    await peer.send(None, "1", "phoenix", "heartbeat", "x" * 900)
    assert (await peer.receive())[1] == "1"
    await peer.send(None, "2", "phoenix", "heartbeat", "x" * 1000)
    assert (await peer.closed())[0] == 1009


async def test_nobody_is_left_behind(phoenix: Connect) -> None:
    other = await phoenix()
    peer = await phoenix()
    await peer.join("room:1", token=mint("alice", "room:1"))
    await peer.join("room:2", "2", token=mint("alice", "room:2"))
    topics = peer.connection.runtime.service(Topics)
    await peer.close()
    assert topics.rooms.rooms == {} and list(topics.runtime.connections.open.values()) == [other.connection]


# -- on real sockets -----------------------------------------------------------


@pytest.fixture(scope="module", params=["serve", "runserver"])
def any_server(serve: Serve, request: pytest.FixtureRequest) -> ServerProcess:
    """Uvicorn as GeoStream runs it, and daphne."""
    environment = {"GEOSTREAM_TOPICS": "tests.dialects.phoenix.topics", "GEOSTREAM_PHOENIX_IDLE_SECONDS": "2"}
    return serve(request.param, GEOSTREAM_MAX_MESSAGE_BYTES="2000", **environment)


def code_of(server: ServerProcess, code: int) -> int:
    """The close code as the server says it: daphne has private ones only."""
    return code if server.command == "serve" else 3000 + code


def test_a_client_that_closes_is_answered(any_server: ServerProcess) -> None:
    with PhoenixSocket(any_server) as socket:
        socket.heartbeat()
        assert socket.leave() == 1000


def test_a_kick_lets_clients_come_back(any_server: ServerProcess) -> None:
    with PhoenixSocket(any_server) as socket:
        socket.send("1", "1", "room:1", "phx_join", {})
        socket.receive()
        socket.send("1", "2", "room:1", "kick", {})
        assert socket.closed()[0] == code_of(any_server, 1001)


def test_what_is_no_frame_closes(any_server: ServerProcess) -> None:
    with PhoenixSocket(any_server) as socket:
        socket.websocket.send("not json")
        assert socket.closed()[0] == code_of(any_server, 1011)


def test_what_is_too_big_closes(any_server: ServerProcess) -> None:
    with PhoenixSocket(any_server) as socket:
        socket.send(None, "1", "phoenix", "heartbeat", "x" * 3000)
        assert socket.closed()[0] == code_of(any_server, 1009)


def test_pings_keep_a_client_that_says_nothing_else(sockets: ServerProcess) -> None:
    with PhoenixSocket(sockets) as silent, PhoenixSocket(sockets) as pinging:
        began = time.monotonic()
        while not has_closed(silent):
            assert time.monotonic() - began < 10
            pinging.websocket.ping().wait(5)
        assert 2 < time.monotonic() - began < 6
        assert pinging.heartbeat()[1] == "1"
        assert silent.closed()[0] == 1001


def has_closed(socket: PhoenixSocket) -> bool:
    try:
        socket.websocket.recv(timeout=0.1)
    except TimeoutError:
        return False
    except ConnectionClosed:
        return True
    raise AssertionError("nothing is told here")


def test_a_server_that_stops_ends_no_channel_but_the_connection(
    redis_service: RedisService, make_server: Callable[..., ServerProcess]
) -> None:
    server = make_server(redis_service.url, GEOSTREAM_TOPICS="tests.dialects.phoenix.topics")
    with PhoenixSocket(server) as socket:
        socket.send("1", "1", "room:1", "phx_join", {})
        assert socket.receive()[3] == "phx_reply"
        server.stop()
        with pytest.raises(ConnectionClosed) as closed:
            socket.receive()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
