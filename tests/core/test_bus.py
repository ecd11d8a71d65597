"""The bus: what is published arrives in order, and a Redis that was away is heard again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from geostream.embedded_redis import RedisService
from streaming.core import bus as bus_module
from streaming.core import redis as connections
from streaming.core.bus import Arrival, Bus
from streaming.core.errors import StreamError

from .restarting import RestartingRedis


class Listener:
    """Notes what arrived, turn by turn."""

    def __init__(self) -> None:
        self.turns: list[list[Arrival]] = []

    def __call__(self, arrivals: list[Arrival]) -> None:
        self.turns.append(arrivals)

    @property
    def heard(self) -> list[tuple[bytes, bytes]]:
        return [tuple(arrival) for turn in self.turns for arrival in turn]


async def until(condition: Callable[[], object], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
async def bus(redis: None, listener: Listener) -> AsyncIterator[Bus]:
    """Listens to `to:*` and to the channel `exact`."""
    bus = Bus()
    bus.on_pattern("to:*", listener)
    bus.on_channel("exact", listener)
    await bus.start()
    yield bus
    await bus.stop()
    await connections.close_async_redis()


async def test_what_is_published_after_the_start_arrives(bus: Bus, listener: Listener) -> None:
    assert bus.connected
    assert await bus.publish("to:a:b", b"\0\xff") == 1
    await until(lambda: listener.heard == [(b"to:a:b", b"\0\xff")])


async def test_channels_are_heard_by_pattern_and_by_name(bus: Bus, listener: Listener) -> None:
    for channel in ("to:a", "exact", "exact:not", "nothing", b"to:\xff"):
        await bus.publish(channel, b"x")
    await until(lambda: len(listener.heard) == 3)
    assert [channel for channel, _ in listener.heard] == [b"to:a", b"exact", b"to:\xff"]


async def test_publishing_says_how_many_heard_it(bus: Bus) -> None:
    assert [await bus.publish(channel, b"") for channel in ("to:a", "elsewhere")] == [1, 0]


async def test_everything_arrives_in_order(bus: Bus, listener: Listener) -> None:
    for number in range(5000):
        bus.publish(("to:a", "exact")[number % 2], b"%d" % number)
    await until(lambda: len(listener.heard) == 5000)
    assert [int(payload) for _, payload in listener.heard] == list(range(5000))


async def test_what_arrives_together_is_handed_over_together(bus: Bus, listener: Listener) -> None:
    await asyncio.gather(*(bus.publish("to:a", b"%d" % number) for number in range(1000)))
    await until(lambda: len(listener.heard) == 1000)
    assert len(listener.turns) < 500


async def test_publishes_of_one_turn_are_one_round_trip(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    publish = bus._publish
    monkeypatch.setattr(bus, "_publish", lambda batch: batches.append(len(batch)) or publish(batch))
    await asyncio.gather(*(bus.publish("to:a", b"") for _ in range(100)))
    assert batches == [100]


async def test_a_handler_that_fails_is_logged_and_the_others_hear(
    redis: None, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(arrivals: list[Arrival]) -> None:
        raise LookupError

    bus = Bus()
    bus.on_pattern("to:*", broken)
    bus.on_channel("exact", listener)
    await bus.start()
    bus.publish("to:a", b"")
    await bus.publish("exact", b"1")
    await bus.publish("exact", b"2")
    await until(lambda: len(listener.heard) == 2)
    assert "could not be handled" in caplog.text
    await bus.stop()
    await connections.close_async_redis()


async def test_what_waits_is_said_before_the_end(bus: Bus) -> None:
    futures = [bus.publish("to:a", b"") for _ in range(2500)]
    await bus.stop()
    assert all(future.done() and future.exception() is None for future in futures)


async def test_after_the_end_nothing_is_pending(bus: Bus) -> None:
    await bus.stop()
    assert bus._tasks == [] and len(asyncio.all_tasks()) == 1


async def test_too_much_that_waits_is_refused(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "MAX_WAITING", 10)
    outcomes = await asyncio.gather(*(bus.publish("to:a", b"") for _ in range(12)), return_exceptions=True)
    assert [isinstance(outcome, StreamError) for outcome in outcomes] == [False] * 10 + [True] * 2


async def test_too_many_bytes_that_wait_are_refused(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "MAX_WAITING_BYTES", 1000)
    outcomes = await asyncio.gather(*(bus.publish("to:a", bytes(600)) for _ in range(4)), return_exceptions=True)
    assert [isinstance(outcome, StreamError) for outcome in outcomes] == [False] * 2 + [True] * 2
    assert await bus.publish("to:a", bytes(600)) == 1


async def test_much_is_published_in_several_round_trips(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    publish = bus._publish
    monkeypatch.setattr(bus, "_publish", lambda batch: batches.append(len(batch)) or publish(batch))
    await asyncio.gather(*(bus.publish("to:a", bytes(bus_module.BATCH_BYTES // 2)) for _ in range(5)))
    assert batches == [2, 2, 1]


async def test_a_channel_that_has_no_bytes_stops_nobody(bus: Bus) -> None:
    with pytest.raises(UnicodeEncodeError):
        bus.publish("to:\ud800", b"")
    assert await bus.publish("to:a", b"") == 1


# -- Redis away ----------------------------------------------------------------


@pytest.fixture
async def away(redis_service: RedisService, tmp_path: Path) -> AsyncIterator[RestartingRedis]:
    """A Redis that the test may stop and start."""
    server = RestartingRedis(tmp_path)
    connections.configure(lambda: server.url)
    yield server
    await connections.close_async_redis()
    connections.configure(lambda: redis_service.url)
    server.stop()


async def test_a_redis_that_was_away_is_heard_again(away: RestartingRedis, listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    bus = Bus()
    bus.on_pattern("to:*", listener)
    await bus.start()
    away.stop()
    await until(lambda: not bus.connected)
    assert bus.gaps == 1
    away.start()
    await until(lambda: bus.connected)
    await until_published(bus)
    await until(lambda: listener.heard)
    assert [record.message.partition(" (")[0] for record in caplog.records] == ["Redis does not answer", "Redis answers again; topics hear"]
    await bus.stop()


async def until_published(bus: Bus) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                await bus.publish("to:a", b"")
            except StreamError:
                await asyncio.sleep(0.02)
            else:
                return


async def test_what_redis_does_not_take_is_refused(away: RestartingRedis) -> None:
    bus = Bus()
    await bus.start()
    away.stop()
    with pytest.raises(StreamError) as refused:
        await bus.publish("to:a", b"")
    assert refused.value.code == "redis_unavailable"
    await bus.stop()


async def test_it_starts_without_redis_and_hears_once_it_is_there(away: RestartingRedis, listener: Listener) -> None:
    away.stop()
    bus = Bus()
    bus.on_pattern("to:*", listener)
    await bus.start()
    assert not bus.connected
    away.start()
    await until(lambda: bus.connected)
    await until_published(bus)
    await until(lambda: listener.heard)
    await bus.stop()


async def test_nobody_has_to_look_at_the_outcome(away: RestartingRedis) -> None:
    bus = Bus()
    await bus.start()
    away.stop()
    for _ in range(3):
        bus.publish("to:a", b"")
    await bus.stop()
