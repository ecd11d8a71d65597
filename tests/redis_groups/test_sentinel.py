"""Sentinels: a server process finds the primary, and the new one when the primary is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as aioredis
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from streaming import apublish
from streaming.core.redis_pools import async_blocking_pool, blocking_pool
from streaming.engine.diagnoses.redis_group import look_at_group, sentinels
from streaming.engine.diagnosis import Level
from streaming.engine.runtime import Runtime
from streaming.server import embedded_redis
from streaming.server.embedded_redis import RedisUnavailable, require_answer
from tests.geo_peer import point

from .audience import Audience, Publisher
from .conftest import StartEngine, Use
from .nodes import RedisNode
from .sentinels import SERVICE, SentinelGroup

LAYERS = ("a", "b", "c")
HANG_SECONDS = 15.0
"""How long the connections of a server that hangs are trusted, at most (docs/deploy.md)."""


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelGroup]:
    with ExitStack() as stack:
        yield SentinelGroup(tmp_path_factory.mktemp("sentinels"), stack)


@pytest.fixture
def redis(group: SentinelGroup, use: Use) -> None:
    use(group.url)


async def test_a_failover_loses_nothing_that_the_replica_had_and_doubles_nothing(group: SentinelGroup, runtime: Runtime) -> None:
    publisher = Publisher(*LAYERS)
    for layer in LAYERS:
        await apublish(layer, point(layer, 1, 1))
    async with Audience(*LAYERS) as audience:
        before = [await publisher.publish() for _ in range(30)]
        await publisher.say(1, 2, 3)
        await audience.told(before, [1, 2, 3])
        failing = asyncio.create_task(asyncio.to_thread(group.fail_over))
        while not publisher.refused:
            await publisher.publish()  # the last of these the replica may not have had yet
        after = [await publisher.publish()]
        await failing
        after += [await publisher.publish() for _ in range(30)]
        await publisher.say(4, 5, 6)
        await audience.told(after, [4, 5, 6])
    assert audience.on_topic == audience.on_channel == [1, 2, 3, 4, 5, 6]
    assert {audience.changes["added", id] for id in (*before, *after)} == {1}
    assert not [id for kind, id in audience.changes if kind != "added" and id in (*before, *after)]


@pytest.mark.long_form(only=True)
async def test_a_primary_that_hangs_is_left(tmp_path: Path, start_engine: StartEngine) -> None:
    publisher = Publisher(*LAYERS)
    with ExitStack() as stack:
        group = SentinelGroup(tmp_path, stack)
        await start_engine(group.url)
        for layer in LAYERS:
            await apublish(layer, point(layer, 1, 1))
        async with Audience(*LAYERS) as audience:
            await publisher.say(1, 2, 3)
            await audience.told([await publisher.publish()], [1, 2, 3])
            await asyncio.to_thread(group.fail_over, frozen=True)
            until = time.monotonic() + HANG_SECONDS
            after = [await publisher.publish() for _ in range(30)]
            await publisher.say(4, 5, 6)
            await audience.told(after, [4, 5, 6], until - time.monotonic())
    assert audience.on_topic == audience.on_channel == [1, 2, 3, 4, 5, 6]


async def test_a_server_that_is_a_replica_is_not_taken_for_the_primary(group: SentinelGroup) -> None:
    """A Sentinel that was not told of a failover yet names the old primary, which is a replica by now."""
    with ExitStack() as stack:
        replica = RedisNode(group.folder / "late", stack, f"replicaof 127.0.0.1 {group.primary.port}\n")
        late = RedisNode(group.folder / "late", stack, f"sentinel monitor {SERVICE} 127.0.0.1 {replica.port} 3\n", "--sentinel")
        use_late = f"redis+sentinel://{late.address}/{SERVICE}"
        with pytest.raises(RedisConnectionError, match="which server is the primary"):
            Redis.from_pool(blocking_pool(use_late, retry=Retry(NoBackoff(), 0))).ping()
        client = aioredis.Redis.from_pool(async_blocking_pool(use_late))
        with pytest.raises(RedisConnectionError, match="which server is the primary"):
            await client.ping()
        await client.aclose()


WELL = {"ip": "10.0.0.1", "port": 6379, "num-other-sentinels": 2, "num-slaves": 1, "quorum": 2}


@pytest.mark.parametrize(
    ("said", "silent", "levels"),
    [
        ([WELL] * 3, 0, [Level.OK]),
        ([WELL] * 2, 1, [Level.WARNING, Level.OK]),
        ([{**WELL, "num-other-sentinels": 0}], 0, [Level.WARNING, Level.OK]),
        ([{**WELL, "num-slaves": 0}] * 3, 0, [Level.WARNING]),
        ([WELL, {**WELL, "ip": "10.0.0.2"}], 0, [Level.WARNING]),
        ([], 3, [Level.ERROR]),
    ],
)
def test_what_cannot_fail_over_is_named(said: list[dict[str, Any]], silent: int, levels: list[Level]) -> None:
    assert [finding.level for finding in sentinels(SERVICE, said, silent)] == levels


def test_the_doctor_asks_the_sentinels(group: SentinelGroup, redis: None) -> None:
    (finding,) = look_at_group()
    assert f"is the primary of {SERVICE}; replicas: " in finding.message and "Sentinels: 3, of which 2 decide" in finding.message


def test_servers_do_not_start_without_a_primary(group: SentinelGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    require_answer(group.url)
    monkeypatch.setattr(embedded_redis, "ANSWER_SECONDS", 0.0)
    with pytest.raises(RedisUnavailable, match="No master found for 'other'"):
        require_answer(group.url.replace(SERVICE, "other"))
