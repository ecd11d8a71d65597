"""Doorbells: rung with what was logged, and taken only where that follows on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgpack
import pytest
import redis

from streaming.core import hub as hub_module
from streaming.core import scripts
from streaming.core.doorbell import UNKNOWN, Ring, parse_ring
from streaming.core.feed import Cursor, Feed, FeedOptions, FeedState, parse_entries
from streaming.core.follower import Follower
from streaming.core.hub import Hub
from streaming.core.redis import redis_url, sync_redis
from streaming.core.replica import Replica

from .conftest import Rings
from .doubles import OneProcessLayer

FEED = Feed("layer:test", FeedOptions(log_length=1000))


# -- what is rung -------------------------------------------------------------


def put(feed: Feed) -> None:
    feed.put_sync([("a", b"1"), ("b", b"\xff")])
    feed.put_sync([("a", b"2"), ("b", b"\xff"), ("c", b"3")])


def delete(feed: Feed) -> None:
    feed.put_sync([("a", b"1"), ("b", b"1")])
    feed.delete_sync(["a", "b"], "left")


def append(feed: Feed) -> None:
    feed.append_sync([b"1", b"2"])
    feed.append_once_sync(b"3", "once", "x", 60)
    feed.append_once_sync(b"3", "once", "x", 60)


@pytest.mark.parametrize("write", [put, delete, append])
def test_a_ring_brings_what_was_logged(write: Callable[[Feed], None], rings: Rings) -> None:
    write(FEED)
    logged: Any = sync_redis().xrange(FEED.log_key)
    assert [entry for _, ring in rings.heard for entry in ring.entries()] == parse_entries(logged) != []


def test_each_ring_begins_where_the_one_before_ended(rings: Rings) -> None:
    put(FEED)
    FEED.delete_sync(["a"])
    FEED.append_sync([b"x"])
    heard = [ring for _, ring in rings.heard]
    ends = [(ring.epoch, ring.seq, ring.stamp) for ring in heard]
    assert [(ring.epoch, ring.first, ring.before) for ring in heard[1:]] == ends[:-1]
    assert len(set(ends)) == 4
    assert FEED.read_sync().stamp == heard[-1].stamp


def test_of_much_a_ring_says_only_that_it_is_there(rings: Rings) -> None:
    FEED.put_sync([(str(number), b"x" * 1000) for number in range(100)])
    ((_, ring),) = rings.heard
    assert (ring.seq, ring.lines) == (100, [])


@pytest.mark.usefixtures("redis")
@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"x",
        b"\xc1",
        b"\x91" * 2000,
        b"\xdd\xff\xff\xff\xff",
        *map(msgpack.packb, [None, [], ["e", "a", b"", "b", b"", []], [1, 1, b"", 2, b"", []]]),
    ],
)
def test_of_what_no_script_has_rung_nothing_is_believed(payload: bytes) -> None:
    assert parse_ring(payload) is UNKNOWN


def test_who_must_not_publish_stores_nevertheless() -> None:
    acl = sync_redis()
    acl.execute_command("ACL", "SETUSER", "quiet-writer", "reset", "resetchannels", "on", ">secret", "~*", "+@all")
    with redis.Redis.from_url(redis_url(), username="quiet-writer", password="secret") as client:
        reply: Any = client.eval(scripts.PUT, 4, *FEED.keys, "e", 10, 0, 0, 2, "a", "1")
    acl.execute_command("ACL", "DELUSER", "quiet-writer")
    assert (reply[2], FEED.get_sync("a")) == (b"a", b"1")


# -- what a hub makes of it -----------------------------------------------------


@pytest.fixture
async def hub(redis: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hub]:
    """One that never looks by itself."""
    monkeypatch.setattr(hub_module, "POLL_SECONDS", 3600.0)
    layer = OneProcessLayer()
    hub = Hub(lambda: layer)
    await hub.start()
    yield hub
    await hub.stop()


@pytest.fixture
def pulled(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The feeds of which the log was read, each time."""
    pulls: list[list[str]] = []
    pull = hub._pull

    async def noted(followers: list[Follower]) -> set[str]:
        pulls.append([follower.feed.name for follower in followers])
        return await pull(followers)

    monkeypatch.setattr(hub, "_pull", noted)
    return pulls


async def until(condition: Callable[[], object]) -> None:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < 5, "it did not happen"
        await asyncio.sleep(0.002)


async def test_what_is_rung_is_taken_without_reading_the_log(hub: Hub, pulled: list[list[str]]) -> None:
    await FEED.put([("a", b"1")])
    replica = await hub.replica(FEED)
    for number in range(2, 6):
        await FEED.put([("a", b"%d" % number), (str(number), b"1")])
    await FEED.delete(["2"])
    await until(lambda: replica.seq == 10)
    assert list(replica.items) == ["a", "3", "4", "5"] and replica.items["a"].value == b"5"
    assert pulled == []


async def test_after_what_was_too_much_rings_are_taken_again(hub: Hub, pulled: list[list[str]]) -> None:
    replica = await hub.replica(FEED)
    await FEED.put([(str(number), b"x" * 1000) for number in range(100)])
    await until(lambda: replica.seq == 100)
    await FEED.put([("a", b"1")])
    await until(lambda: replica.seq == 101)
    assert pulled == [[FEED.name]]


async def test_a_lost_ring_is_made_up_for_by_the_next_one(hub: Hub, pulled: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    replica = await hub.replica(FEED)
    with monkeypatch.context() as deaf:
        deaf.setattr(hub._doorbells, "_heard", lambda feed, ring: None)
        await FEED.put([("a", b"1")])
        await asyncio.to_thread(sync_redis().ping)
        await until(lambda: not hub._doorbells._bus._reader.waiting_bytes)  # type: ignore[union-attr]
        await FEED.put([("b", b"1")])
    await FEED.put([("c", b"1")])
    await until(lambda: replica.seq == 3)
    assert list(replica.items) == ["a", "b", "c"] and pulled == [[FEED.name]]


async def test_a_history_that_only_has_the_same_number_is_not_believed(hub: Hub, pulled: list[list[str]]) -> None:
    """A Redis has lost the end of its log, and has grown another one, while nobody heard it."""
    await FEED.put([("a", b"1")])
    copy = [sync_redis().dump(key) for key in FEED.keys]
    await FEED.put([("lost", b"1")])
    replica = await hub.replica(FEED)
    before = replica.cursor
    async with hub._pulling:
        for key, dump in zip(FEED.keys, copy, strict=True):
            sync_redis().delete(key)
            if dump is not None:
                sync_redis().restore(key, 0, dump)  # type: ignore[arg-type]
        await FEED.put([("found", b"1")])
        await FEED.put([("next", b"1")])
        await until(lambda: hub.lag(FEED.name))
    await until(lambda: replica.epoch != before.epoch)
    assert list(replica.items) == ["a", "found", "next"] and pulled == [[FEED.name]]


async def test_what_waits_is_bounded_and_the_rest_read(hub: Hub, pulled: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "MOST_RINGS", 3)
    replica = await hub.replica(FEED)
    async with hub._pulling:
        for number in range(10):
            await FEED.put([(str(number), b"1")])
        await until(lambda: hub.lag(FEED.name) == 10)
        assert len(hub._rung[FEED.name]) <= 3
    await until(lambda: replica.seq == 10)
    assert len(pulled) == 1


async def test_who_begins_to_follow_misses_nothing_that_is_rung_meanwhile(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    read = hub_module._read

    async def slowly(feed: Feed) -> FeedState:
        state = await read(feed)
        await feed.put([("a", b"1")])
        await until(lambda: hub._rung_early)
        return state

    monkeypatch.setattr(hub_module, "_read", slowly)
    replica = await hub.replica(FEED)
    await until(lambda: replica.seq == 1)


async def test_after_a_lost_connection_the_logs_are_read_at_once(hub: Hub, pulled: list[list[str]]) -> None:
    replica = await hub.replica(FEED)
    bus = hub._doorbells._bus
    sync_redis().execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: not bus.connected)
    await FEED.put([("a", b"1")])
    await until(lambda: replica.seq == 1)
    assert pulled


async def test_a_feed_that_cannot_be_loaded_is_not_heard(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(feed: Feed) -> FeedState:
        raise ValueError

    monkeypatch.setattr(hub_module, "_read", broken)
    with pytest.raises(ValueError):
        await hub.replica(FEED)
    await until(lambda: not sync_redis().pubsub_channels(FEED.meta_key))


# -- what follows on ------------------------------------------------------------


def ring(first: int, seq: int, before: bytes, stamp: bytes, epoch: str = "e") -> Ring:
    return Ring(epoch, first, before, seq, stamp, [[b"%d" % number, b"%013d1" % 0, b"", b""] for number in range(first + 1, seq + 1)])


@pytest.mark.parametrize(
    ("rings", "reaches", "whole"),
    [
        ([ring(5, 6, b"s5", b"s6"), ring(6, 8, b"s6", b"s8")], 8, True),
        ([ring(3, 4, b"s3", b"s4"), ring(5, 6, b"s5", b"s6")], 6, True),
        ([ring(5, 6, b"s5", b"s6"), ring(7, 8, b"s7", b"s8"), ring(8, 9, b"s8", b"s9")], 6, False),
        ([ring(5, 6, b"other", b"s6")], 5, False),
        ([ring(5, 6, b"s5", b"s6", epoch="f")], 5, False),
        ([ring(5, 6, b"s5", b"s6")._replace(lines=[])], 5, False),
        ([UNKNOWN], 5, False),
        ([ring(5, 6, b"s5", b"s6"), UNKNOWN], 6, False),
        ([ring(4, 5, b"s4", b"s5")], 5, True),
    ],
    ids=["next", "an old one", "a hole", "stamp", "epoch", "without lines", "unknown", "then unknown", "nothing new"],
)
async def test_what_follows_on_is_taken_and_the_rest_read(rings: list[Ring], reaches: int, whole: bool) -> None:
    replica = Replica(FEED, FeedState(Cursor("e", 5), {}, b"s5"))
    assert await Hub(OneProcessLayer)._take_some(replica, rings) is whole
    assert (replica.seq, replica.stamp) == (reaches, b"s%d" % reaches)


async def test_a_follower_that_does_not_know_its_stamp_takes_nothing() -> None:
    replica = Replica(FEED, FeedState(Cursor("e", 5), {}))
    assert not await Hub(OneProcessLayer)._take_some(replica, [ring(5, 6, b"", b"s6")])
    assert replica.seq == 5
