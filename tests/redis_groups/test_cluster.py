"""A cluster: layers are spread over its nodes, and everybody follows slots that move and nodes that fail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from streaming import apublish, publish
from streaming.core.feed import Cursor, Feed
from streaming.core.keys import COMMON
from streaming.core.redis import async_redis, close_async_redis
from streaming.engine.diagnoses.redis_group import cluster as cluster_findings
from streaming.engine.diagnoses.redis_group import look_at_group
from streaming.engine.diagnoses.redis_server import look_at_redis
from streaming.engine.diagnosis import Level
from streaming.engine.readiness import readiness
from streaming.engine.redis_state import RedisState
from streaming.engine.runtime import Runtime
from streaming.features.layers import feature_counts
from streaming.features.renaming import rename_layer
from streaming.models import Layer
from streaming.operators.feeds import feed_rows, find_feeds, lines_after
from streaming.redis_data.hashes import HashReader
from streaming.server.embedded_redis import require_answer
from streaming.topics import abroadcast
from streaming.topics.history_store import topic_feed
from streaming.topics.service import Topics
from tests.geo_peer import point

from .audience import TOPIC, Audience, Publisher
from .cluster import RedisCluster
from .conftest import StartEngine, Use

LAYERS = tuple(f"l{number}" for number in range(9))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with ExitStack() as stack:
        yield RedisCluster(tmp_path_factory.mktemp("cluster"), stack)


@pytest.fixture
def redis(cluster: RedisCluster, use: Use) -> None:
    for node in cluster.primaries:
        node.client.flushall()
    use(cluster.url)


def meta_key(layer: str) -> str:
    return Feed(f"layer:{layer}").meta_key


async def test_layers_of_all_nodes_are_followed(cluster: RedisCluster, runtime: Runtime) -> None:
    assert {cluster.owner(meta_key(layer)).port for layer in LAYERS} == {node.port for node in cluster.primaries}
    publisher = Publisher(*LAYERS)
    for layer in LAYERS:
        await apublish(layer, point(layer, 1, 1))
    async with Audience(*LAYERS) as audience:
        published = [await publisher.publish() for _ in range(90)]
        await publisher.say(1, 2, 3)
        await audience.told(published, [1, 2, 3])
    assert set(audience.changes.values()) == {1}
    assert publisher.refused == 0


@pytest.fixture
def histories(settings: Any) -> None:
    settings.GEOSTREAM_TOPIC_HISTORY = "room:*"


async def test_topics_keep_their_messages_and_know_who_is_there(histories: None, runtime: Runtime) -> None:
    async with Audience() as audience:
        for number in range(3):
            await abroadcast(TOPIC, "ev", {"n": number})
        assert await runtime.service(Topics).presence.count(TOPIC) == 1
        async with asyncio.timeout(5):
            while len(audience.on_topic) < 3:
                await audience.listen()
    assert audience.on_topic == [0, 1, 2]
    assert await async_redis().xlen(topic_feed(TOPIC).log_key) == 3


async def test_a_layer_is_renamed_though_it_goes_to_another_node(cluster: RedisCluster, redis: None, transactional_db: None) -> None:
    old, new = LAYERS[0], next(layer for layer in LAYERS if cluster.owner(meta_key(layer)) is not cluster.owner(meta_key(LAYERS[0])))
    await apublish(old, [point(number, 1, 1) for number in range(100)])
    layer = await Layer.objects.aget(name=old)
    cursor = (await Feed(f"layer:{old}").read()).cursor
    await sync_to_async(rename_layer)(layer, new)
    state = await Feed(f"layer:{new}").read()
    assert (state.cursor, len(state.items)) == (cursor, 100)
    assert await sync_to_async(Feed(f"layer:{old}").count_sync)() == 0
    await close_async_redis()


def test_operators_see_the_feeds_of_all_nodes(redis: None, transactional_db: None) -> None:
    for layer in LAYERS:
        publish(layer, point(layer, 1, 1))
    names, complete = find_feeds("layer:")
    assert (names, complete) == ([f"layer:{layer}" for layer in LAYERS], True)
    rows = feed_rows(names)
    assert [(row.name, row.seq, row.length, row.items) for row in rows] == [(name, 1, 1, 1) for name in names]
    assert all(row.bytes for row in rows)
    assert [line.seq for line in lines_after(names[0], Cursor(rows[0].epoch, 0), 10)] == [1]
    assert feature_counts(LAYERS) == dict.fromkeys(LAYERS, 1)


async def test_hashes_of_all_nodes_are_read(cluster: RedisCluster, redis: None) -> None:
    names = [f"pub:{number}" for number in range(20)]
    for name in names:
        cluster.owner(name).client.hset(name, "a", name)
    reader = HashReader()
    assert sorted([name async for page in reader.names("pub:*") for name in page]) == sorted(names)
    assert [[page async for page in reader.values(name)] for name in names] == [[[name.encode()]] for name in names]
    await reader.close()


async def test_a_process_is_ready_when_the_cluster_is_whole(cluster: RedisCluster, runtime: Runtime) -> None:
    assert (await readiness())["redis"]
    state = RedisState()
    await state.look()
    assert {name: value for name, _, value in state.samples()}["geostream_redis_clients"] >= len(cluster.primaries)
    require_answer(cluster.url)


WHOLE = {"cluster_state": "ok", "cluster_slots_ok": "16384"}
PRIMARY = {"node_id": "p", "flags": "master", "master_id": "-", "slots": [["0", "16383"]]}
REPLICA = {"node_id": "r", "flags": "slave", "master_id": "p", "slots": []}


@pytest.mark.parametrize(
    ("info", "nodes", "levels"),
    [
        (WHOLE, {"a:1": PRIMARY, "b:1": REPLICA}, [Level.OK]),
        (WHOLE, {"a:1": PRIMARY, "b:1": {**REPLICA, "flags": "slave,fail"}}, [Level.WARNING, Level.WARNING]),
        ({"cluster_state": "fail", "cluster_slots_ok": "16000"}, {"a:1": PRIMARY, "b:1": REPLICA}, [Level.ERROR, Level.OK]),
    ],
)
def test_what_a_cluster_lacks_is_named(info: dict[str, Any], nodes: dict[str, dict[str, Any]], levels: list[Level]) -> None:
    assert [finding.level for finding in cluster_findings(info, nodes)] == levels


def test_the_doctor_looks_at_every_node(cluster: RedisCluster, redis: None) -> None:
    versions = [finding.message for finding in look_at_redis() if "up for" in finding.message]
    assert [message.partition(": ")[0] for message in versions] == sorted(node.address for node in cluster.primaries)
    (finding,) = look_at_group()
    assert finding.level is Level.WARNING and "without a replica" in finding.message


@pytest.mark.parametrize("key", [meta_key(LAYERS[0]), COMMON], ids=["of a layer", "of what all share"])
async def test_a_slot_that_moves_loses_and_doubles_nothing(cluster: RedisCluster, runtime: Runtime, key: str) -> None:
    publisher = Publisher(*LAYERS)
    for layer in LAYERS:
        await apublish(layer, point(layer, 1, 1))
    async with Audience(*LAYERS) as audience:
        moving = asyncio.create_task(asyncio.to_thread(cluster.move, key))
        published = [await publisher.publish()]
        while not moving.done():
            published.append(await publisher.publish())
        published += [await publisher.publish() for _ in range(30)]
        await publisher.say(1, 2, 3)
        await audience.told(published, [1, 2, 3])
    await moving
    assert set(audience.changes.values()) == {1}


@pytest.mark.long_form(only=True)
@pytest.mark.parametrize(
    ("key", "frozen"),
    [(meta_key(LAYERS[0]), False), (COMMON, False), (meta_key(LAYERS[0]), True)],
    ids=["of a layer", "of what all share", "of a layer that hangs"],
)
async def test_a_replica_takes_over(tmp_path: Path, start_engine: StartEngine, key: str, frozen: bool) -> None:
    """Three primaries and three replicas, of which one primary is killed, or hangs."""
    publisher = Publisher(*LAYERS)
    with ExitStack() as stack:
        cluster = RedisCluster(tmp_path, stack, replicas=1)
        await start_engine(cluster.url)
        for layer in LAYERS:
            await apublish(layer, point(layer, 1, 1))
        async with Audience(*LAYERS) as audience:
            before = [await publisher.publish() for _ in range(90)]
            await publisher.say(1, 2, 3)
            await audience.told(before, [1, 2, 3])
            failing = asyncio.create_task(asyncio.to_thread(cluster.fail_over, key, frozen))
            while not failing.done():
                await publisher.publish()  # the last before the end the replica may not have had yet
            await failing
            after = [await publisher.publish() for _ in range(90)]
            await publisher.say(4, 5, 6)
            await audience.told(after, [4, 5, 6])
    assert audience.on_topic == audience.on_channel == [1, 2, 3, 4, 5, 6]
    assert {audience.changes["added", id] for id in (*before, *after)} == {1}
    assert not [id for kind, id in audience.changes if kind != "added" and id in (*before, *after)]
