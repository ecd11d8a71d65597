"""Connecting, encodings, logging in, closing."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from streaming.client import ConnectionClosedByServer, ConnectionFailed, ConnectionState, GeoStreamClient, ProtocolError, RequestRefused
from streaming.dialects.geo.codec import Encoding
from streaming.dialects.geo.messages import (
    Authenticate,
    Compression,
    Handshake,
    HandshakeAck,
    ListSubscriptions,
    MessageFormat,
    Ping,
    Pong,
    SubscriptionInfo,
    Subscriptions,
)
from tests.client.conftest import MakeClient, Scene
from tests.client.scripted import ScriptedServer, feature


@pytest.mark.parametrize("format", ["Json", "MessagePack", "Binary"])
@pytest.mark.parametrize("compression", ["None", "Zstd"])
async def test_features_arrive_in_every_encoding(server: ScriptedServer, make_client: MakeClient, format: str, compression: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        accepted = tasks.create_task(server.peer())
        async with make_client(format=format, compression=compression) as client:
            peer = await accepted
            assert peer.encoding == Encoding.of(MessageFormat(format), Compression(compression))
            subscription = await Scene(client, peer, server).subscribe()
            await peer.data("s", "added", feature("é", v=[1, 2.5, None]), cursor="e:1")
            assert (await anext(subscription)).feature == feature("é", v=[1, 2.5, None])
            assert {type(frame) for frame in peer.frames} == {str if (format, compression) == ("Json", "None") else bytes}


async def test_what_the_server_grants_is_used(server: ScriptedServer, make_client: MakeClient) -> None:
    async with asyncio.TaskGroup() as tasks:
        connecting = tasks.create_task((client := make_client(format="MessagePack", compression="Zstd")).connect())
        peer = await server.connection()
        await peer.expect(Handshake)
        await peer.send(HandshakeAck(1, MessageFormat.JSON, Compression.NONE))
        await connecting
        pinging = tasks.create_task(client.ping())
        await peer.expect(Ping)
        assert peer.frames[-1] == '{"type":"ping","id":1}'
        peer.encoding = Encoding.of(MessageFormat.JSON, Compression.NONE)
        await peer.send(Pong(1))
        assert await pinging > 0
        await client.close()


async def test_a_ping_of_the_server_is_answered(scene: Scene) -> None:
    await scene.peer.send(Ping(2**64 - 1))
    assert (await scene.peer.expect(Pong)).id == 2**64 - 1


async def test_ping_is_the_time_of_a_round_trip(scene: Scene) -> None:
    pinging = asyncio.create_task(scene.client.ping())
    await scene.peer.send(Pong((await scene.peer.expect(Ping)).id))
    assert 0 < await pinging < 5


async def test_subscriptions_are_listed(scene: Scene) -> None:
    listing = asyncio.create_task(scene.client.list_subscriptions())
    request = await scene.peer.expect(ListSubscriptions)
    await scene.peer.send(Subscriptions(request.request_id, [SubscriptionInfo("s", "features", layer="flights", cursor="e:1")]))
    assert await listing == [SubscriptionInfo("s", "features", layer="flights", cursor="e:1")]


async def test_a_token_and_headers_are_sent_with_every_connection(server: ScriptedServer, make_client: MakeClient) -> None:
    numbers = itertools.count(1)

    async def token() -> str:
        return f"jwt-{next(numbers)}"

    async with asyncio.TaskGroup() as tasks:
        accepted = tasks.create_task(server.peer())
        async with make_client(token=token, headers={"X-Site": "zrh"}):
            peer = await accepted
            assert (peer.headers["Authorization"], peer.headers["X-Site"]) == ("Bearer jwt-1", "zrh")
            peer.break_off()
            assert (await server.peer()).headers["Authorization"] == "Bearer jwt-2"


async def test_a_token_given_later_is_used_for_the_next_connection(scene: Scene) -> None:
    logging_in = asyncio.create_task(scene.client.authenticate("fresh"))
    request = await scene.peer.expect(Authenticate)
    assert request.token == "fresh"
    await scene.peer.ack(request.request_id or "authenticate")
    await logging_in
    scene.peer.break_off()
    assert (await scene.server.peer()).headers["Authorization"] == "Bearer fresh"


async def test_a_token_that_is_refused_is_not_kept(scene: Scene) -> None:
    logging_in = asyncio.create_task(scene.client.authenticate("stale"))
    await scene.peer.refuse((await scene.peer.expect(Authenticate)).request_id or "authenticate", "token_expired")
    with pytest.raises(RequestRefused, match="token_expired"):
        await logging_in
    scene.peer.break_off()
    assert "Authorization" not in (await scene.server.peer()).headers


async def test_nobody_there_is_told_at_once() -> None:
    server = ScriptedServer()
    async with server:
        url = server.url
    with pytest.raises(ConnectionFailed, match="cannot connect"):
        async with GeoStreamClient(url, proxy=None):
            pass


async def test_a_server_without_tls_is_not_reached_by_wss(server: ScriptedServer) -> None:
    with pytest.raises(ConnectionFailed, match="cannot connect"):
        await GeoStreamClient(server.url.replace("ws:", "wss:"), proxy=None).connect()


async def test_an_http_refusal_is_told(server: ScriptedServer, make_client: MakeClient) -> None:
    server.statuses = [401]
    client = make_client()
    with pytest.raises(ConnectionFailed, match="HTTP status 401") as failed:
        await client.connect()
    assert failed.value.permanent
    assert client.state is ConnectionState.CLOSED


async def test_a_close_instead_of_a_handshake_is_told(server: ScriptedServer, make_client: MakeClient) -> None:
    connecting = asyncio.create_task(make_client().connect())
    await (await server.connection()).close(4401, "who are you?")
    with pytest.raises(ConnectionClosedByServer, match="4401: who are you"):
        await connecting


async def test_a_server_that_does_not_shake_hands_is_not_waited_for_long(server: ScriptedServer, make_client: MakeClient) -> None:
    with pytest.raises(ConnectionFailed, match=r"handshake within 0.05 seconds"):
        await make_client(connect_timeout=0.05).connect()


async def test_another_version_is_not_spoken(server: ScriptedServer, make_client: MakeClient) -> None:
    connecting = asyncio.create_task(make_client().connect())
    peer = await server.connection()
    await peer.expect(Handshake)
    await peer.socket.send('{"type":"handshake_ack","version":2,"format":"Json","compression":"None"}')
    with pytest.raises(ProtocolError, match="version 2"):
        await connecting


async def test_garbage_leads_to_a_new_connection(scene: Scene) -> None:
    await scene.peer.socket.send("what?")
    await scene.server.peer()


async def test_leaving_ends_the_iterators_and_closes_normally(server: ScriptedServer, make_client: MakeClient) -> None:
    async with asyncio.TaskGroup() as tasks:
        accepted = tasks.create_task(server.peer())
        async with make_client() as client:
            peer = await accepted
            subscription = await Scene(client, peer, server).subscribe()
            reading = tasks.create_task(anext(subscription, "ended"))
            await asyncio.sleep(0)
        assert await reading == "ended"
        await peer.socket.wait_closed()
        assert peer.socket.close_code == 1000


async def test_a_client_that_is_cancelled_while_connecting_leaves_nothing(server: ScriptedServer, make_client: MakeClient) -> None:
    connecting = asyncio.create_task(make_client().connect())
    await (await server.connection()).expect(Handshake)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
