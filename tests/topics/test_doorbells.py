"""Presence and histories ring with what they have logged, as all feeds do."""

from __future__ import annotations

from typing import Any

import pytest

from streaming.core.feed import Feed, parse_entries
from streaming.core.redis import close_async_redis, sync_redis
from streaming.topics.history_store import keep, topic_feed
from streaming.topics.messages import TopicMessage
from streaming.topics.presence_store import Operation, PresenceStore, presence_feed
from tests.core.conftest import Rings, rings

__all__ = ["rings"]


def check(rings: Rings, feed: Feed, count: int) -> None:
    """The rings of a feed bring its log, one after the other."""
    heard = [ring for name, ring in rings.heard if name == feed.name]
    logged: Any = sync_redis().xrange(feed.log_key)
    assert [entry for ring in heard for entry in ring.entries()] == parse_entries(logged)
    assert [(ring.epoch, ring.first, ring.before) for ring in heard[1:]] == [(ring.epoch, ring.seq, ring.stamp) for ring in heard[:-1]]
    assert len(heard) == count
    assert feed.read_sync().stamp == heard[-1].stamp


async def test_a_history_rings_for_each_of_its_topics(rings: Rings) -> None:
    for event in ("one", "two"):
        await keep([TopicMessage("a", event, b"1"), TopicMessage("b", event, b"2"), TopicMessage("a", event, b"\xff", binary=True)])
    check(rings, topic_feed("a"), 2)
    check(rings, topic_feed("b"), 2)
    await close_async_redis()


@pytest.mark.parametrize("size", [5_000, 50_000])
async def test_of_large_messages_a_ring_says_only_that_they_are_there(rings: Rings, size: int) -> None:
    await keep([TopicMessage("a", "large", b"x" * size) for _ in range(5)])
    ((_, ring),) = rings.heard
    assert (ring.seq, ring.lines) == (5, [])
    await close_async_redis()


async def test_presence_rings_for_who_comes_and_who_goes(rings: Rings) -> None:
    store = PresenceStore("node")
    await store.write([Operation("a", tracked={"1": b"x", "2": b"y"})])
    await store.write([Operation("a", tracked={"1": b"z"})])
    await store.write([Operation("a", tracked={"1": b"z"})])
    await store.write([Operation("a", removed=["1"])])
    check(rings, presence_feed("a"), 3)
    await close_async_redis()
