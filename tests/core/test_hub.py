"""The hub follows what is looked at, finds what it was not told of, and never gives up."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from streaming.core import hub as hub_module
from streaming.core.deliveries import LogQueue
from streaming.core.doorbell import Doorbells
from streaming.core.feed import Cursor, Feed, FeedOptions
from streaming.core.filters import Filter, FilterSpec, compile_filter
from streaming.core.follower import Follower
from streaming.core.hub import CONTROL_GROUP, Hub
from streaming.core.limits import OutboxLimits
from streaming.core.outbox import Outbox
from streaming.core.redis import sync_redis
from streaming.core.view import View
from tests.timers import Timer, timers_set

from .doubles import OneProcessLayer, RecordingEncoder, RecordingSender, Told
from .restarting import RestartingRedis

VALUE = b'{"geometry":null,"n":%d,"type":"Feature"}'


@pytest.fixture
def layer() -> OneProcessLayer:
    return OneProcessLayer()


@pytest.fixture
async def hub(redis: None, layer: OneProcessLayer) -> AsyncIterator[Hub]:
    hub = Hub(lambda: layer)
    await hub.start()
    yield hub
    await hub.stop()


@pytest.fixture
def feed() -> Feed:
    return Feed("layer:test", FeedOptions(log_length=1000))


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every doorbell is lost."""
    monkeypatch.setattr(Doorbells, "_arrived", lambda self, arrivals: None)


@pytest.fixture
def unpolled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found was told by a doorbell: the hub (which has to be made after this) never looks by itself."""
    monkeypatch.setattr(hub_module, "POLL_SECONDS", 3600.0)


def item(key: str, n: int = 0) -> tuple[str, bytes]:
    return key, VALUE % n


def watch(follower: Follower, condition: Filter | None = None, events: bool = False) -> RecordingSender:
    sender, encoder = RecordingSender(), RecordingEncoder()
    outbox = Outbox(sender, OutboxLimits(), lambda why: None)
    follower.join(View(outbox, encoder, condition or compile_filter(FilterSpec()), queue=LogQueue(encoder, 100) if events else None))
    return sender


async def until(condition: Callable[[], object], seconds: float = 5) -> None:
    """Wait for a condition."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, "it did not happen"
        await asyncio.sleep(0.002)


async def test_a_doorbell_brings_a_change(unpolled: None, hub: Hub, feed: Feed) -> None:
    sender = watch(await hub.replica(feed))
    cursor = (await feed.put([item("a")])).cursor
    await until(lambda: sender.told)
    assert sender.told == [Told("added", "a", str(cursor))]


async def test_a_change_from_a_thread_is_heard_too(unpolled: None, hub: Hub, feed: Feed) -> None:
    sender = watch(await hub.replica(feed))
    await asyncio.to_thread(feed.put_sync, [item("a")])
    await until(lambda: sender.told)


async def test_a_lost_doorbell_costs_about_a_second(hub: Hub, feed: Feed, deaf: None) -> None:
    sender = watch(await hub.replica(feed))
    await feed.put([item("a")])
    await until(lambda: sender.told, seconds=2.5)


async def test_feeds_without_a_doorbell_are_looked_at_in_turn(
    redis: None, layer: OneProcessLayer, deaf: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(hub_module, "POLL_COUNT", 2)
    hub = Hub(lambda: layer)
    await hub.start()
    try:
        feeds = [Feed(f"layer:{number}") for number in range(5)]
        senders = [watch(await hub.replica(feed)) for feed in feeds]
        for feed in feeds:
            await feed.put([item("a")])
        await until(lambda: all(sender.told for sender in senders))
    finally:
        await hub.stop()


async def test_no_feed_waits_longer_for_its_turn_than_others(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "POLL_COUNT", 2)
    hub.followers = dict.fromkeys("abcde", cast(Any, None))
    turns = [hub._in_turn() for _ in range(5)]
    hub.followers.clear()
    assert Counter(name for turn in turns for name in turn) == dict.fromkeys("abcde", 2)


async def test_a_follower_shows_what_was_there_before(hub: Hub, feed: Feed) -> None:
    await feed.put([item("a"), item("b")])
    assert list((await hub.replica(feed)).items) == ["a", "b"]


async def test_a_feed_is_loaded_once_for_all_who_ask_at_the_same_time(hub: Hub, feed: Feed) -> None:
    first, *others = await asyncio.gather(*(hub.replica(feed) for _ in range(5)))
    assert all(other is first for other in others)


async def test_a_feed_is_followed_as_one_kind(hub: Hub, feed: Feed) -> None:
    await hub.replica(feed)
    with pytest.raises(TypeError):
        await hub.tail(feed)


async def test_refreshing_shows_everything_stored_before(hub: Hub, feed: Feed, deaf: None) -> None:
    replica = await hub.replica(feed)
    await feed.put([item(str(number)) for number in range(5000)])
    await hub.refresh(replica)
    assert len(replica.items) == 5000 and replica.seq == 5000


async def test_a_long_log_is_told_in_order_and_without_a_hole(hub: Hub, feed: Feed) -> None:
    long = Feed("layer:test", FeedOptions(log_length=100_000))
    sender = watch(await hub.replica(long))
    for start in range(0, 6000, 1000):
        await long.put([item("k", start + number) for number in range(1000)])
    await until(lambda: len(sender.told) == 6000)
    assert [told.cursor.split(":")[1] for told in sender.told] == [str(number) for number in range(1, 6001)]


async def test_a_trimmed_log_makes_the_state_be_read_again(hub: Hub, feed: Feed, deaf: None) -> None:
    await feed.put([item("gone"), item("stays"), item("moves")])
    replica = await hub.replica(feed)
    sender = watch(replica)
    await feed.delete(["gone"])
    await feed.put([item("moves", 1), item("new")])
    sync_redis().xtrim(feed.log_key, 1, approximate=False)
    await hub.refresh(replica)
    assert {told[:2] for told in sender.told} == {("deleted", "gone"), ("updated", "moves"), ("added", "new")}
    assert [told.cursor for told in sender.told] == [None, None, str(replica.cursor)]


async def test_a_wholly_trimmed_log_is_noticed_too(hub: Hub, feed: Feed, deaf: None) -> None:
    replica = await hub.replica(feed)
    await feed.put([item("a")])
    sync_redis().xtrim(feed.log_key, 0, approximate=False)
    await hub.refresh(replica)
    assert list(replica.items) == ["a"]


async def test_cursors_survive_a_reload_as_far_as_the_log_reaches(hub: Hub, feed: Feed, deaf: None) -> None:
    replica = await hub.replica(feed)
    await feed.put([item(str(number)) for number in range(10)])
    sync_redis().xtrim(feed.log_key, 5, approximate=False)
    await hub.refresh(replica)
    assert await hub.reach(replica, Cursor(replica.epoch, 5))
    assert not await hub.reach(replica, Cursor(replica.epoch, 4))


async def test_a_dropped_feed_is_told_as_deletions(unpolled: None, hub: Hub, feed: Feed) -> None:
    await feed.put([item("a")])
    replica = await hub.replica(feed)
    sender = watch(replica)
    before = replica.epoch
    await asyncio.to_thread(feed.drop_sync)
    await until(lambda: sender.told)
    assert sender.told[0][:2] == ("deleted", "a") and replica.epoch != before


async def test_a_new_subscriber_of_a_recreated_feed_is_served_by_its_doorbell(unpolled: None, hub: Hub, feed: Feed) -> None:
    await feed.put([item(str(number)) for number in range(50)])
    replica = await hub.replica(feed)
    sender = watch(replica)
    await asyncio.to_thread(feed.drop_sync)
    await until(lambda: len(sender.told) == 50)
    await feed.put([item("a")])
    await until(lambda: "a" in replica.items)
    assert hub.lag(feed.name) == 0


def copy_of(feed: Feed) -> list[Any]:
    return [sync_redis().dump(key) for key in feed.keys]


def restore(feed: Feed, copy: list[Any]) -> None:
    """What a Redis does that lost the end of its append-only file."""
    for key, dump in zip(feed.keys, copy, strict=True):
        sync_redis().delete(key)
        if dump is not None:
            sync_redis().restore(key, 0, dump)


async def test_a_log_that_went_back_voids_its_cursors(hub: Hub, feed: Feed, deaf: None) -> None:
    await feed.put([item("a", 1)])
    replica = await hub.replica(feed)
    sender = watch(replica)
    copy = copy_of(feed)
    await feed.put([item("a", 2), item("b")])
    await hub.refresh(replica)
    lost = replica.cursor
    restore(feed, copy)
    await hub.refresh(replica)
    assert replica.epoch != lost.epoch == str(sender.told[0].cursor).split(":")[0]
    assert [told[:2] for told in sender.told[2:]] == [("updated", "a"), ("deleted", "b")]
    assert not await hub.reach(replica, lost)


async def test_a_log_that_went_back_is_noticed_even_if_it_has_grown_beyond_us(hub: Hub, feed: Feed, deaf: None) -> None:
    await feed.put([item("a", 1)])
    replica = await hub.replica(feed)
    copy = copy_of(feed)
    await feed.put([item("a", 2), item("lost")])
    await hub.refresh(replica)
    lost = replica.cursor
    restore(feed, copy)
    await feed.put([item(str(number)) for number in range(10)])
    await hub.refresh(replica)
    assert set(replica.items) == {"a", *map(str, range(10))}
    assert not await hub.reach(replica, lost)


async def test_a_log_that_went_back_and_grew_to_the_same_number_is_noticed(hub: Hub, feed: Feed, deaf: None) -> None:
    await feed.put([item("a", 1)])
    replica = await hub.replica(feed)
    copy = copy_of(feed)
    await feed.put([item("lost")])
    await hub.refresh(replica)
    restore(feed, copy)
    await feed.put([item("other")])
    await hub.refresh(replica)
    assert set(replica.items) == {"a", "other"}


@pytest.mark.parametrize("change", ["renewed", "dropped"])
async def test_an_epoch_that_comes_back_is_not_believed(hub: Hub, feed: Feed, deaf: None, change: str) -> None:
    await feed.put([item("a", 1)])
    replica = await hub.replica(feed)
    copy = copy_of(feed)
    await feed.put([item("lost")])
    await hub.refresh(replica)
    lost = replica.cursor
    if change == "renewed":
        await feed.renew(lost.epoch)
    else:
        feed.drop_sync()
    await hub.refresh(replica)
    restore(feed, copy)
    await feed.put([item("other")])
    await hub.refresh(replica)
    assert replica.cursor.seq == lost.seq
    assert set(replica.items) == {"a", "other"}
    assert not await hub.reach(replica, lost)


async def test_lag_is_what_was_announced_and_not_taken(hub: Hub, feed: Feed) -> None:
    replica = await hub.replica(feed)
    assert hub.lag("layer:unknown") == hub.lag(feed.name) == 0
    async with hub._pulling:
        await feed.put([item("a"), item("b")])
        await until(lambda: hub.lag(feed.name) == 2)
    await until(lambda: hub.lag(feed.name) == 0)
    assert replica.seq == 2


async def test_control_messages_reach_every_hub(hub: Hub, layer: OneProcessLayer) -> None:
    other = Hub(lambda: layer)
    other._channel = await layer.new_channel()
    await layer.group_add(CONTROL_GROUP, other._channel)
    listening = asyncio.create_task(other._listen())
    announced: list[Any] = []
    for each in (hub, other):
        each.on("greeting", announced.append)
    await hub.control("greeting", words="hello")
    await until(lambda: len(announced) == 2)
    assert announced[0] == {"type": "greeting", "words": "hello"}
    listening.cancel()


async def test_a_control_message_that_cannot_be_handled_does_not_stop_the_hub(
    hub: Hub, feed: Feed, caplog: pytest.LogCaptureFixture
) -> None:
    announced: list[Any] = []
    hub.on("broken", lambda message: message["missing"])
    hub.on("greeting", announced.append)
    await hub.control("broken")
    await hub.control("greeting")
    await until(lambda: announced)


async def test_a_filter_that_fails_does_not_stop_the_others(hub: Hub, feed: Feed, caplog: pytest.LogCaptureFixture) -> None:
    def fails(item: object) -> bool:
        raise ArithmeticError("cannot be")

    replica = await hub.replica(feed)
    healthy = watch(replica)
    watch(replica, Filter("broken", None, fails))
    await feed.put([item("a")])
    await asyncio.sleep(0)
    await feed.put([item("b")])
    await until(lambda: {told.key for told in healthy.told} == {"a", "b"}, seconds=3)


async def test_a_feed_nobody_looks_at_is_dropped_after_a_while(hub: Hub, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=time.monotonic())
    monkeypatch.setattr(hub_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    replica = await hub.replica(feed)
    await hub._drop_idle()
    assert feed.name in hub.followers
    clock.now += hub_module.LINGER_SECONDS + 1
    watch(replica)
    await hub._drop_idle()
    assert feed.name in hub.followers
    replica.leave(replica.views[0])
    await hub._drop_idle()
    clock.now += hub_module.LINGER_SECONDS + 1
    await hub._drop_idle()
    assert feed.name not in hub.followers
    await until(lambda: not sync_redis().pubsub_channels(feed.meta_key))


async def test_a_feed_that_was_dropped_can_be_followed_again(hub: Hub, feed: Feed) -> None:
    del (await hub.replica(feed)).feed, hub.followers[feed.name]
    await feed.put([item("a")])
    assert list((await hub.replica(feed)).items) == ["a"]


async def test_a_tail_tells_every_line(hub: Hub) -> None:
    events = Feed("events")
    tail = await hub.tail(events)
    sender = watch(tail, events=True)
    await events.append([VALUE % 1, VALUE % 1])
    await until(lambda: len(sender.told) == 2)
    assert [told.cursor for told in sender.told] == [f"{tail.epoch}:1", f"{tail.epoch}:2"]


async def test_a_tail_counts_the_lines_that_were_trimmed(hub: Hub, deaf: None) -> None:
    events = Feed("events")
    tail = await hub.tail(events)
    sender = watch(tail, events=True)
    await events.append([VALUE % number for number in range(10)])
    sync_redis().xtrim(events.log_key, 3, approximate=False)
    await hub.refresh(tail)
    await events.append([VALUE % 11])
    await hub.refresh(tail)
    lost = 10 - sum(isinstance(told, Told) for told in sender.told[:-1])
    assert sender.told[-2] == f"gap {lost}" or sender.told[0] == f"gap {lost}"
    assert sender.told[-1] == Told("event", "11", f"{tail.epoch}:11")


async def test_a_restarted_redis_is_caught_up_with(restarting_redis: RestartingRedis, layer: OneProcessLayer, feed: Feed) -> None:
    hub = Hub(lambda: layer)
    await hub.start()
    try:
        replica = await hub.replica(feed)
        sender = watch(replica)
        await feed.put([item("a")])
        await until(lambda: sender.told)
        await asyncio.to_thread(restarting_redis.stop)
        await until(lambda: hub._redis_down)
        await asyncio.to_thread(restarting_redis.start)
        await asyncio.to_thread(feed.put_sync, [item("b")])
        await until(lambda: len(sender.told) == 2)
        assert [told.key for told in sender.told] == ["a", "b"]
        assert sender.told[0].cursor.split(":")[0] == sender.told[1].cursor.split(":")[0]
    finally:
        await hub.stop()


async def test_a_hub_can_be_stopped_while_redis_is_away(restarting_redis: RestartingRedis, layer: OneProcessLayer, feed: Feed) -> None:
    hub = Hub(lambda: layer)
    await hub.start()
    watch(await hub.replica(feed))
    await asyncio.to_thread(restarting_redis.stop)
    await until(lambda: hub._redis_down)
    await hub.stop()


async def test_jobs_are_repeated_whatever_happens(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    runs: list[Awaitable[None] | int] = []

    async def job() -> None:
        runs.append(1)
        raise ValueError("once more")

    hub.every(0.01, job)
    await until(lambda: len(runs) > 2)
    assert "once more" in caplog.text


async def nothing() -> None:
    pass


async def timers_of_a_turn(hub: Hub) -> list[Timer]:
    """What the pulling task sets when it has pulled."""
    with timers_set() as timers:
        hub._bell.set()
        while hub._bell.is_set():
            await asyncio.sleep(0)
        await asyncio.sleep(0)
    return timers


async def test_a_hub_that_follows_nothing_sets_no_timer(hub: Hub) -> None:
    assert await timers_of_a_turn(hub) == []


async def test_a_hub_looks_every_second_from_its_first_feed_on(hub: Hub, feed: Feed) -> None:
    await timers_of_a_turn(hub)
    with timers_set() as timers:
        await hub.replica(feed)
        await until(lambda: not hub._bell.is_set())
    assert [timer for timer in timers if 0.9 < timer.seconds <= hub_module.POLL_SECONDS]


async def test_jobs_keep_one_beat(hub: Hub) -> None:
    with timers_set() as timers:
        for seconds in (1.0, 0.5, 1.0, 2.0):
            hub.every(seconds, nothing)
            await asyncio.sleep(0.1)
    beats = [(timer.when - hub._began) / 0.5 for timer in timers if timer.seconds > 0.2]
    assert beats == [pytest.approx(round(beat), abs=0.1) for beat in beats]
    assert len(beats) == 4


@pytest.mark.parametrize(("passed", "pause"), [(0.0, 2.0), (0.3, 1.7), (0.9, 1.1), (1.1, 2.9), (1.999, 2.001), (5.0, 3.0)])
async def test_a_job_rests_for_at_least_half_of_its_period(hub: Hub, passed: float, pause: float) -> None:
    hub._began = asyncio.get_running_loop().time() - passed
    assert hub._until_beat(2.0) == pytest.approx(pause, abs=0.05)


async def test_a_job_may_change_its_pace(hub: Hub) -> None:
    paces = [0.1, 0.2]
    with timers_set() as timers:
        hub.every(lambda: paces.pop(0) if paces else 60.0, nothing)
        await until(lambda: any(timer.seconds > 50 for timer in timers))
    assert [round(timer.seconds, 1) for timer in timers if timer.seconds > 0.05] == [0.1, 0.2, 60.0]
