"""One process at a time writes down what backends publish; when it goes another one goes on where it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from streaming.core.redis import async_redis, close_async_redis, sync_redis
from streaming.topics import history_writer as history_keeper
from streaming.topics.history_store import WRITER, keep
from streaming.topics.messages import TopicMessage

from .history_scene import TOPIC, KeepingProcess, history, publish, until

Start = Callable[[str], Awaitable[KeepingProcess]]


@pytest.fixture
async def start(redis: None) -> AsyncIterator[Start]:
    """Starts processes that share a Redis."""
    processes: list[KeepingProcess] = []

    async def start_one(name: str) -> KeepingProcess:
        processes.append(await KeepingProcess(name).start())
        return processes[-1]

    yield start_one
    for process in processes:
        await process.stop()
    await close_async_redis()


async def kept(count: int) -> list[str]:
    """The events in the history, once there are so many."""
    async with asyncio.timeout(5):
        while len(messages := await history()) < count:
            pass
    return [message.event for message in messages]


async def two(start: Start) -> tuple[KeepingProcess, KeepingProcess]:
    """The one that keeps, and another one."""
    first = await start("b")
    await until(lambda: first.writer.keeping)
    return first, await start("a")


async def test_each_message_is_kept_once(start: Start) -> None:
    first, second = await two(start)
    await publish(*map(str, range(500)))
    assert await kept(500) == list(map(str, range(500)))
    await until(lambda: not first.waiting and not second.waiting)
    assert len(await history()) == 500
    assert first.writer.keeping and not second.writer.keeping


async def test_who_comes_later_does_not_take_over(start: Start) -> None:
    _, second = await two(start)
    await second.writer.renew()
    assert await async_redis().get(WRITER) == b"b"


async def test_another_one_goes_on_where_a_dead_one_stopped(start: Start) -> None:
    first, second = await two(start)
    await publish("a", "b")
    await kept(2)
    await until(lambda: not second.waiting)
    await first.die()
    await publish("c", "d")
    await until(lambda: second.waiting == 2)
    assert len(await history()) == 2
    await async_redis().delete(WRITER)  # its lease has run out
    await second.writer.renew()
    await until(lambda: not second.waiting)
    assert await kept(4) == ["a", "b", "c", "d"]


async def test_a_lease_runs_out(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_keeper, "LEASE_SECONDS", 0.05)
    first, second = await two(start)
    await first.die()
    await publish("a")
    async with asyncio.timeout(5):
        while not second.writer.keeping:
            await second.writer.renew()
    assert await kept(1) == ["a"]


async def test_one_that_stops_is_followed_at_once(start: Start) -> None:
    first, second = await two(start)
    await publish("a")
    await first.stop()
    await publish("b")
    await until(lambda: second.writer.keeping)
    assert await kept(2) == ["a", "b"]


async def test_one_that_was_stalled_cannot_write_any_more(start: Start) -> None:
    first, second = await two(start)
    await async_redis().set(WRITER, "a", px=60_000)
    assert not await keep([TopicMessage(TOPIC, "late", b"{}")], "b")
    await publish("ev")
    await until(lambda: not first.writer.keeping)
    await second.writer.renew()
    assert await kept(1) == ["ev"]
    await until(lambda: not first.waiting and not second.waiting)


async def test_the_keeper_goes_on_when_its_lease_was_lost(start: Start) -> None:
    first = await start("b")
    await until(lambda: first.writer.keeping)
    await async_redis().delete(WRITER)
    await publish("ev")
    assert await kept(1) == ["ev"]
    await until(lambda: first.writer.keeping)


@contextmanager
def nothing_stored() -> Iterator[None]:
    """Meanwhile Redis refuses to write, for want of a replica; what is published still reaches everybody."""
    sync_redis().config_set("min-replicas-to-write", 1)
    try:
        yield
    finally:
        sync_redis().config_set("min-replicas-to-write", 0)


async def miss_something(process: KeepingProcess) -> None:
    """The process loses its connection, and hears again: it cannot know what it has missed."""
    gaps = process.bus.gaps
    sync_redis().execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: process.bus.gaps > gaps and process.bus.connected)


async def test_the_keeper_keeps_what_it_holds_though_it_missed_something(start: Start) -> None:
    first = await start("b")
    await until(lambda: first.writer.keeping)
    with nothing_stored():
        await publish("a", "b")
        await until(lambda: first.waiting == 2)
        await miss_something(first)
        await publish("c")
        await until(lambda: first.bus_heard == 3)
    assert await kept(3) == ["a", "b", "c"]


async def miss(process: KeepingProcess, *events: str) -> None:
    """Only this process does not receive what is published."""
    await process.bus.stop()
    await publish(*events)
    process.bus.lost(ConnectionError("cut"))
    await process.bus.start()
    await until(lambda: process.bus.connected)


async def test_what_the_keeper_missed_is_kept_by_one_that_received_it(start: Start) -> None:
    first, second = await two(start)
    await publish("a")
    await kept(1)
    await until(lambda: not second.waiting)
    await miss(first, "b", "c")
    assert await kept(3) == ["a", "b", "c"]
    assert second.writer.keeping and not first.writer.keeping
    await publish("d")
    assert await kept(4) == ["a", "b", "c", "d"]


async def test_who_does_not_keep_forgets_what_it_holds_when_it_missed_something(start: Start) -> None:
    _, second = await two(start)
    with nothing_stored():
        await publish("a", "b")
        await until(lambda: second.waiting == 2)
        await miss_something(second)
        await publish("c")
        await until(lambda: second.bus_heard == 3)
        assert second.waiting == 1


async def test_more_than_can_wait_is_dropped_early(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_keeper, "MOST_WAITING", 3)
    first, second = await two(start)
    await first.die()
    await publish(*"abcde")
    await until(lambda: second.writer._dropped_early == 2)
    await async_redis().delete(WRITER)
    await second.writer.renew()
    await until(lambda: not second.waiting)
    assert await kept(3) == ["c", "d", "e"]
