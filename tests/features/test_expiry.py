"""Layers with a lifetime are looked through when something in them may be due."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from streaming.core.feed import Feed
from streaming.core.redis import close_async_redis, sync_redis
from streaming.features import expiry
from streaming.features.expiry import LOCK_KEY, MAX_INTERVAL, Expiry
from streaming.features.layers import catalogue, layer_feed
from streaming.models import Layer

VALUE = b'{"geometry":null,"type":"Feature"}'


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The processes' clock."""
    clock = SimpleNamespace(now=time.monotonic())
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(expiry, "time", clock)
    return clock


@pytest.fixture
async def here(redis: None, transactional_db: None, clock: SimpleNamespace) -> AsyncIterator[Expiry]:
    """One process."""
    yield Expiry()
    await close_async_redis()


async def layer_with(lifetime: float | None, name: str = "l") -> Feed:
    await Layer.objects.aupdate_or_create(name=name, defaults={"ttl_seconds": lifetime})
    return layer_feed((await catalogue.all())[name])


def age(feed: Feed, key: str, seconds: float) -> None:
    sync_redis().zincrby(feed.keys[3], -seconds * 1000, key)


async def looked(here: Expiry) -> bool:
    """Whether anything was looked through now."""
    sync_redis().delete(LOCK_KEY)
    await here.expire_layers()
    return bool(sync_redis().exists(LOCK_KEY))


async def test_layers_without_a_lifetime_cost_nothing(here: Expiry) -> None:
    await layer_with(None)
    assert not await looked(here)


async def test_what_was_silent_for_too_long_leaves(here: Expiry) -> None:
    feed = await layer_with(60)
    await feed.put([("a", VALUE), ("b", VALUE)])
    age(feed, "a", 61)
    assert await looked(here)
    assert feed.get_sync("a") is None and feed.get_sync("b") == VALUE


async def test_a_layer_is_looked_through_when_the_next_may_be_due(here: Expiry, clock: SimpleNamespace) -> None:
    feed = await layer_with(60)
    await feed.put([("a", VALUE)])
    age(feed, "a", 55)
    assert await looked(here)
    clock.now += 4
    assert not await looked(here)
    age(feed, "a", 6)
    clock.now += 2
    assert await looked(here)
    assert feed.get_sync("a") is None


async def test_a_layer_is_not_left_alone_for_long(here: Expiry, clock: SimpleNamespace) -> None:
    """Its features may come from a process that does not know of the lifetime yet."""
    feed = await layer_with(3600)
    assert await looked(here)
    await Feed(feed.name).put([("a", VALUE)])
    clock.now += MAX_INTERVAL - 1
    assert not await looked(here)
    clock.now += 2
    assert await looked(here)
    age(feed, "a", 3601)
    clock.now += MAX_INTERVAL + 1
    await looked(here)
    assert feed.get_sync("a") is None


async def test_another_lifetime_holds_at_once(here: Expiry) -> None:
    feed = await layer_with(3600)
    await feed.put([("a", VALUE)])
    age(feed, "a", 61)
    assert await looked(here)
    assert not await looked(here)
    await layer_with(60)
    assert await looked(here)
    assert feed.get_sync("a") is None


async def test_one_process_at_a_time_looks(here: Expiry) -> None:
    feed = await layer_with(60)
    await feed.put([("a", VALUE)])
    age(feed, "a", 61)
    sync_redis().set(LOCK_KEY, "1")
    await here.expire_layers()
    assert feed.get_sync("a") == VALUE
    sync_redis().delete(LOCK_KEY)
    await here.expire_layers()
    assert feed.get_sync("a") is None


async def test_settings_are_asked_for_less_often_than_others_need(here: Expiry, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Any] = []
    read = catalogue._read
    monkeypatch.setattr(catalogue, "_read", lambda: (reads.append(1), read())[1])
    await layer_with(None)
    await here.expire_layers()
    reads.clear()
    monkeypatch.setattr(catalogue, "_read_at", time.monotonic() - 29)
    await here.expire_layers()
    assert not reads
    monkeypatch.setattr(catalogue, "_read_at", time.monotonic() - 31)
    await here.expire_layers()
    assert reads
