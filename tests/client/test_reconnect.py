"""What a subscription goes through when connections break."""

from __future__ import annotations

import asyncio

import pytest

from streaming.client import ConnectionClosedByServer, ConnectionFailed, ConnectionLost, ConnectionState, GeoStreamClient, RequestRefused
from streaming.dialects.geo.messages import Ping, SubscribeFeatures, UpdateSubscription
from tests.client.conftest import MakeClient, Naps, Scene, until
from tests.client.scripted import ScriptedServer, feature, gone


async def test_it_resumes_from_its_cursor_with_its_conditions(scene: Scene) -> None:
    subscription = await scene.subscribe(bbox=(0, 0, 10, 10))
    await scene.peer.data("s", "added", feature(1), cursor="e:1")
    await anext(subscription)
    scene.peer.break_off()
    request = await scene.reconnected(cursor="e:2", snapshot_count=1, recovered=True)
    assert (request.cursor, request.bbox, request.layer) == ("e:1", (0, 0, 10, 10), "flights")
    await scene.peer.data("s", "deleted", gone(1), cursor="e:2", reason="deleted")
    assert (await anext(subscription)).type == "deleted"
    assert (subscription.recovered, subscription.cursor, subscription.features) == (True, "e:2", {})


async def test_a_state_that_replaces_is_yielded_as_its_difference(scene: Scene) -> None:
    subscription = await scene.subscribe(ack={"cursor": "e:3", "snapshot_count": 3})
    await scene.peer.data("s", "added", feature("same", v=1), feature("other", v=1), feature("vanished"), cursor="e:3")
    for _ in range(3):
        await anext(subscription)
    await scene.peer.close(1012)
    await scene.reconnected(cursor="f:9", snapshot_count=3, recovered=False)
    await scene.peer.data("s", "added", feature("same", v=1), feature("other", v=True), cursor=None)
    await scene.peer.data("s", "added", feature("new"), cursor="f:9")
    seen = [await anext(subscription) for _ in range(3)]
    assert [(change.type, change.id) for change in seen] == [("updated", "other"), ("added", "new"), ("deleted", "vanished")]
    assert [change.cursor for change in seen] == [None, None, "f:9"]
    assert set(subscription.features) == {"same", "other", "new"}
    assert subscription.recovered is False


async def test_an_empty_state_that_replaces_deletes_everything(scene: Scene) -> None:
    subscription = await scene.subscribe()
    await scene.peer.data("s", "added", feature(1), cursor="e:1")
    await anext(subscription)
    await scene.peer.close(1012)
    await scene.reconnected(cursor="f:0", snapshot_count=0, recovered=False)
    deleted = await anext(subscription)
    assert (deleted.type, deleted.id, deleted.feature, deleted.reason) == ("deleted", 1, gone(1), None)
    assert subscription.cursor == "f:0"


async def test_a_break_within_a_snapshot_asks_for_the_whole_state(scene: Scene) -> None:
    subscription = await scene.subscribe(ack={"cursor": "e:2", "snapshot_count": 2})
    await scene.peer.data("s", "added", feature(1), cursor=None)
    await anext(subscription)
    scene.peer.break_off()
    request = await scene.reconnected(cursor="e:5", snapshot_count=1)
    assert request.cursor is None
    await scene.peer.data("s", "added", feature(2), cursor="e:5")
    assert [((await anext(subscription)).type) for _ in range(2)] == ["added", "deleted"]
    assert set(subscription.features) == {2}


async def test_a_break_within_a_resumed_difference_asks_for_the_whole_state(scene: Scene) -> None:
    subscription = await scene.subscribe()
    scene.peer.break_off()
    assert (await scene.reconnected(cursor="e:2", snapshot_count=2, recovered=True)).cursor == "e:0"
    await scene.peer.data("s", "added", feature(1), cursor=None)
    await anext(subscription)
    scene.peer.break_off()
    assert (await scene.reconnected(cursor="e:3", snapshot_count=0)).cursor is None
    assert (await anext(subscription)).type == "deleted"


async def test_a_break_before_a_resumed_difference_resumes_again(scene: Scene) -> None:
    await scene.subscribe()
    scene.peer.break_off()
    await scene.reconnected(cursor="e:2", snapshot_count=2, recovered=True)
    scene.peer.break_off()
    assert (await scene.reconnected(cursor="e:3", snapshot_count=0, recovered=True)).cursor == "e:0"


async def test_the_acks_cursor_holds_when_the_count_has_arrived(scene: Scene) -> None:
    subscription = await scene.subscribe(ack={"cursor": "e:2", "snapshot_count": 2})
    await scene.peer.data("s", "added", feature(1), cursor=None)
    await scene.peer.data("s", "added", feature(2), cursor=None)
    for _ in range(2):
        await anext(subscription)
    assert subscription.cursor == "e:2"


async def test_without_a_snapshot_changes_are_passed_on_and_a_lost_place_brings_the_whole_state(scene: Scene) -> None:
    subscription = await scene.subscribe(snapshot=False)
    await scene.peer.data("s", "updated", feature(1), cursor="e:1")
    await scene.peer.data("s", "deleted", gone(2), cursor="e:2")
    assert [(await anext(subscription)).type for _ in range(2)] == ["updated", "deleted"]
    scene.peer.break_off()
    assert (await scene.reconnected(cursor="f:1", snapshot_count=1, recovered=False)).snapshot is None
    await scene.peer.data("s", "added", feature(3), cursor="f:1")
    assert [(await anext(subscription)).type for _ in range(2)] == ["added", "deleted"]


async def test_every_layer_resumes_from_its_own_cursor(scene: Scene) -> None:
    subscription = await scene.subscribe(None, ack={"cursor": {"a": "a:1", "b": "b:1"}, "snapshot_count": 0})
    await scene.peer.data("s", "added", feature(1), cursor="b:2", layer="b")
    await anext(subscription)
    scene.peer.break_off()
    assert (await scene.reconnected(cursor={}, snapshot_count=0, recovered=True)).cursor == {"a": "a:1", "b": "b:2"}


async def test_an_update_that_was_not_answered_is_repeated_after_the_break(scene: Scene) -> None:
    subscription = await scene.subscribe(filter="a = 1")
    updating = asyncio.create_task(subscription.update(filter="a = 2"))
    await scene.peer.expect(UpdateSubscription)
    scene.peer.break_off()
    request = await scene.reconnected(cursor="e:5", snapshot_count=0)
    assert (request.filter, request.cursor) == ("a = 1", None)
    assert (await scene.peer.expect(UpdateSubscription)).filter == "a = 2"
    await scene.peer.ack("s", cursor="e:6", snapshot_count=0)
    await updating
    assert subscription.cursor == "e:6"


async def test_a_subscribe_that_was_not_answered_is_repeated_after_the_break(scene: Scene) -> None:
    subscribing = asyncio.create_task(scene.client.subscribe_features("flights", subscription_id="s"))
    await scene.peer.expect(SubscribeFeatures)
    scene.peer.break_off()
    await scene.reconnected(cursor="e:5", snapshot_count=0)
    assert (await subscribing).cursor == "e:5"


async def test_a_subscription_refused_after_the_break_ends_alone(scene: Scene) -> None:
    subscription = await scene.subscribe()
    scene.peer.break_off()
    scene.peer = await scene.server.peer()
    await scene.peer.expect(SubscribeFeatures)
    await scene.peer.refuse("s", "unknown_layer")
    with pytest.raises(RequestRefused, match="unknown_layer"):
        await anext(subscription)
    await until(scene.client, ConnectionState.CONNECTED)


async def test_a_refusal_that_may_pass_is_tried_again(scene: Scene) -> None:
    await scene.subscribe()
    scene.peer.break_off()
    scene.peer = await scene.server.peer()
    await scene.peer.expect(SubscribeFeatures)
    await scene.peer.refuse("s", "redis_unavailable")
    assert (await scene.reconnected(cursor="e:0", snapshot_count=0, recovered=True)).cursor == "e:0"


async def test_the_iterator_ends_with_the_close_code_after_what_had_arrived(scene: Scene) -> None:
    subscription = await scene.subscribe()
    await scene.peer.data("s", "added", feature(1), cursor="e:1")
    await scene.peer.close(4401, "the token has expired")
    assert (await anext(subscription)).id == 1
    with pytest.raises(ConnectionClosedByServer) as closed:
        await anext(subscription)
    assert (closed.value.code, closed.value.reason) == (4401, "the token has expired")
    assert scene.client.state is ConnectionState.CLOSED
    with pytest.raises(ConnectionClosedByServer):
        await scene.client.ping()


@pytest.mark.parametrize("code", [1000, 1012, 4508, 4513])
async def test_other_close_codes_reconnect(scene: Scene, code: int) -> None:
    await scene.subscribe()
    await scene.peer.close(code)
    assert (await scene.reconnected(cursor="e:0", snapshot_count=0, recovered=True)).cursor == "e:0"


async def test_delays_double_until_it_is_back(scene: Scene, naps: Naps) -> None:
    await scene.subscribe()
    scene.server.statuses = [503, 429, 500]
    scene.peer.break_off()
    await scene.reconnected(cursor="e:0", snapshot_count=0, recovered=True)
    assert naps.seconds == [1.0, 2.0, 4.0, 8.0]


async def test_a_connection_that_held_starts_over_with_the_shortest_delay(
    server: ScriptedServer, make_client: MakeClient, naps: Naps
) -> None:
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(server.peer())
        async with make_client(stable=0.0):
            (await first).break_off()
            (await server.peer()).break_off()
            await server.peer()
    assert naps.seconds == [1.0, 1.0]


async def test_it_gives_up_after_so_many_attempts(server: ScriptedServer, make_client: MakeClient, naps: Naps) -> None:
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(server.peer())
        async with make_client(attempts=2) as client:
            server.statuses = [503, 503, 503]
            (await first).break_off()
            await until(client, ConnectionState.CLOSED)
            with pytest.raises(ConnectionFailed, match="503"):
                await client.ping()
    assert len(naps.seconds) == 2


async def test_an_http_refusal_for_good_is_not_tried_again(scene: Scene, naps: Naps) -> None:
    subscription = await scene.subscribe()
    scene.server.statuses = [403]
    scene.peer.break_off()
    with pytest.raises(ConnectionFailed, match="403"):
        await anext(subscription)
    assert len(naps.seconds) == 1


async def test_without_reconnect_a_break_ends_everything(server: ScriptedServer, make_client: MakeClient) -> None:
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(server.peer())
        async with make_client(auto_reconnect=False) as client:
            (await first).break_off()
            await until(client, ConnectionState.CLOSED)
            with pytest.raises(ConnectionLost):
                await client.ping()


async def test_a_server_that_does_not_answer_pings_is_left(server: ScriptedServer, make_client: MakeClient) -> None:
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(server.peer())
        async with make_client(ping_interval=0.01, ping_timeout=0.01):
            await (await first).expect(Ping)
            await (await server.peer()).expect(Ping)


async def test_changes_of_state_are_told(scene: Scene) -> None:
    told: list[tuple[ConnectionState, str]] = []
    scene.client.on_state(lambda state, error: told.append((state, type(error).__name__)))
    await scene.subscribe()
    await scene.peer.close(1012)
    await scene.reconnected(cursor="e:0", snapshot_count=0, recovered=True)
    await until(scene.client, ConnectionState.CONNECTED)
    await scene.client.close()
    await asyncio.sleep(0)
    assert told == [
        (ConnectionState.RECONNECTING, "ConnectionClosedByServer"),
        (ConnectionState.CONNECTED, "NoneType"),
        (ConnectionState.CLOSED, "NoneType"),
    ]


async def test_so_many_attempts_and_no_more(server: ScriptedServer) -> None:
    client = GeoStreamClient(server.url, proxy=None, max_reconnect_attempts=0)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(server.peer())
        await client.connect()
        (await first).break_off()
        await until(client, ConnectionState.CLOSED)
