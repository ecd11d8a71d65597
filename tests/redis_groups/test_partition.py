"""A network that is cut in two for ten seconds: the primary is on the smaller side, and clients may or may not reach it there.

What a primary stores that is cut off from all others is lost when it hears of them again: that is how Redis copies. It goes on until the
primary notices (a node of a cluster), or until each process has found out who is the primary now (a Sentinel's service). All of it was
acknowledged before that; which it was, clients are told: what they were told of, and what is not in the feed any more, is deleted again.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from redis.exceptions import RedisError

from streaming import apublish
from streaming.core.feed import Feed
from streaming.core.keys import COMMON
from streaming.core.redis_pools import FOLLOW_SECONDS
from tests.conftest import missing
from tests.geo_peer import point

from .audience import SECONDS, Audience, Publisher
from .cluster import RedisCluster
from .conftest import StartEngine
from .network import Machine, Network, NoNetwork
from .nodes import RedisNode, wait_for
from .sentinels import SentinelGroup

pytestmark = pytest.mark.long_form(only=True)

LAYERS = tuple(f"l{number}" for number in range(9))
CUT_SECONDS = 10.0
FOUND_SECONDS = 2 * FOLLOW_SECONDS
"""After a failover, until each process knows of it."""
OF_OTHERS = ("info", "ping", "role", "replconf", "psync", "cluster", "client", "subscribe", "publish", "select", "hello", "auth", "command")
"""Commands that no process stores or reads anything with. Sentinels subscribe and publish."""


class Group(NamedTuple):
    """The servers of a test."""

    url: str
    primary: RedisNode
    """Is going to be cut off."""
    replace: Callable[[], None]
    """Waits for the failover."""
    common: Callable[[], RedisNode]
    """Where messages are published."""


def cut_off_from_servers(machine: Machine, others: list[Machine]) -> None:
    machine.cut_off_from(*others)


def cut_off_from_all(machine: Machine, others: list[Machine]) -> None:
    machine.cut_off()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def make_network(stack: ExitStack, machines: int) -> list[Machine]:
    try:
        return Network(stack, machines).machines
    except NoNetwork as error:
        missing(f"network namespaces ({error})")
        raise


def sentinels(stack: ExitStack, folder: Path, machines: list[Machine]) -> Group:
    group = SentinelGroup(folder, stack, machines=machines)
    return Group(group.url, group.primary, group.replace, lambda: group.primary)


def cluster_of(key: str) -> Callable[[ExitStack, Path, list[Machine]], Group]:
    def cluster(stack: ExitStack, folder: Path, machines: list[Machine]) -> Group:
        cluster = RedisCluster(folder, stack, replicas=1, machines=machines)
        gone = cluster.owner(key)
        return Group(cluster.url, gone, lambda: cluster.replace(gone, key), lambda: cluster.owner(COMMON))

    return cluster


@pytest.mark.parametrize("cut", [cut_off_from_servers, cut_off_from_all], ids=["clients reach it", "nobody reaches it"])
@pytest.mark.parametrize(
    ("make", "size"),
    [(sentinels, 3), (cluster_of(Feed(f"layer:{LAYERS[0]}").meta_key), 6), (cluster_of(COMMON), 6)],
    ids=["Sentinels", "a node with layers", "the node of what all share"],
)
async def test_a_primary_is_cut_off(tmp_path: Path, stack: ExitStack, start_engine: StartEngine, make: Any, size: int, cut: Any) -> None:
    machines = make_network(stack, size)
    group: Group = make(stack, tmp_path, machines)
    here = next(machine for machine in machines if machine.address == group.primary.host)
    await start_engine(group.url)
    for layer in LAYERS:
        await apublish(layer, point(layer, 1, 1))
    publishers = [Publisher(*LAYERS), Publisher(*LAYERS, name="t", in_thread=True)]
    async with Audience(*LAYERS) as audience:
        before = [await publisher.publish() for publisher in publishers for _ in range(30)]
        await publishers[0].say(1, 2, 3, at=group.common())
        await audience.told(before, [1, 2, 3])

        cut(here, [machine for machine in machines if machine is not here])
        until = time.monotonic() + CUT_SECONDS
        for publisher in publishers:
            publisher.start()
        await asyncio.to_thread(group.replace)
        failed_over = time.monotonic()
        await publishers[0].say(4, 5, 6, at=group.common())
        await audience.told([], [4, 5, 6], failed_over + SECONDS - time.monotonic())
        await asyncio.sleep(failed_over + FOUND_SECONDS - time.monotonic())
        during = [id for publisher in publishers for id in await publisher.stop()]  # a thread waits ten seconds for an answer

        after = [await publisher.publish() for publisher in publishers for _ in range(30)]
        await audience.told(after, [4, 5, 6])
        with_old = commands(group.primary)
        for publisher in publishers:
            publisher.start()
        await asyncio.sleep(until - time.monotonic())
        after += [id for publisher in publishers for id in await publisher.stop()]
        assert commands(group.primary) == with_old, "the old primary is still in use"

        here.heal()
        await asyncio.to_thread(wait_for, lambda: group.primary.ask("ROLE")[0] == "slave", "the old primary as a replica")
        healed = [await publisher.publish() for publisher in publishers for _ in range(30)]
        await publishers[0].say(7, 8, 9, at=group.common())
        await audience.told(healed, [7, 8, 9])
        kept = {json.loads(key) for layer in LAYERS for key in (await Feed(f"layer:{layer}").read()).items} - set(LAYERS)
        await audience.shows(kept)
    assert kept >= {*before, *after, *healed}
    assert audience.on_topic == audience.on_channel == list(range(1, 10))
    assert {id: audience.changes["added", id] for id in kept} == dict.fromkeys(kept, 1)
    lost = set(during) - kept
    assert all(audience.changes["added", id] == audience.changes["deleted", id] <= 1 for id in lost)


def commands(node: RedisNode) -> dict[str, int]:
    """How often a server was given each command that clients give; empty where it cannot be asked."""
    try:
        statistics = node.client.info("commandstats")
    except RedisError:
        return {}
    calls = {name.removeprefix("cmdstat_"): found["calls"] for name, found in statistics.items()}
    return {name: count for name, count in calls.items() if name.partition("|")[0] not in OF_OTHERS}
