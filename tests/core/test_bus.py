"""The bus: what is published arrives in order, and a Redis that was away is heard again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from streaming.core import bus as bus_module
from streaming.core import bus_reader
from streaming.core import loop_watch as loop_watch_module
from streaming.core import redis as connections
from streaming.core.bus import Arrival, Bus
from streaming.core.errors import StreamError
from streaming.server.embedded_redis import RedisService

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


async def test_what_a_handler_does_in_pieces_is_done_before_more_arrives(bus: Bus) -> None:
    done: list[str] = []

    def handler(arrivals: list[Arrival]) -> Iterator[None]:
        for arrival in arrivals:
            for part in "xyz":
                done.append(f"{arrival.payload.decode()}{part}")
                yield

    async def others() -> None:
        while len(done) < 3 * 40:
            turns.append(len(done))
            await asyncio.sleep(0)

    turns = list[int]()
    await bus.subscribe("pieces", handler)
    async with asyncio.timeout(5):
        looking = asyncio.create_task(others())
        await asyncio.gather(*(bus.publish("pieces", b"%d" % number) for number in range(40)))
        await looking
    assert done == [f"{number}{part}" for number in range(40) for part in "xyz"]
    assert len(set(turns)) > 60, "others have a turn after each piece"


async def test_pieces_that_fail_are_logged_and_the_rest_arrives(bus: Bus, listener: Listener, caplog: pytest.LogCaptureFixture) -> None:
    def broken(arrivals: list[Arrival]) -> Iterator[None]:
        yield
        raise ZeroDivisionError

    await bus.subscribe("pieces", broken)
    bus.publish("pieces", b"")
    bus.publish("to:a", b"after")
    await until(lambda: listener.heard == [(b"to:a", b"after")])
    assert "messages of the bus could not be handled" in caplog.text


async def test_what_keeps_the_loop_is_counted(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_watch_module, "LONG_SECONDS", 0.0)
    before = loop_watch_module.loop_watch.count["bus", "messages"]
    await bus.publish("to:a", b"")
    await until(lambda: loop_watch_module.loop_watch.count["bus", "messages"] > before)


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


# -- listening while it runs ---------------------------------------------------


async def test_a_channel_may_be_listened_to_while_it_runs(bus: Bus) -> None:
    later = Listener()
    assert await bus.subscribe("later", later)
    await bus.publish("later", b"1")
    await until(lambda: later.heard == [(b"later", b"1")])


async def test_a_pattern_may_be_listened_to_while_it_runs(bus: Bus) -> None:
    later = Listener()
    assert await bus.psubscribe("later:*", later)
    await bus.publish("later:a", b"1")
    await until(lambda: later.heard == [(b"later:a", b"1")])


async def test_several_listen_to_one_channel_until_the_last_leaves(bus: Bus, listener: Listener) -> None:
    one, other = Listener(), Listener()
    await asyncio.gather(bus.subscribe("shared", one), bus.subscribe("shared", other), bus.subscribe("shared", other))
    for times in (1, 2):
        bus.unsubscribe("shared", other)
        await bus.publish("shared", b"1")
        await until(lambda times=times: len(one.heard) == times)  # type: ignore[misc]
    assert len(other.heard) == 1
    bus.unsubscribe("shared", one)
    await bus.subscribe("fence", other)
    assert await bus.publish("shared", b"1") == 0


async def test_whoever_never_listened_cannot_stop(bus: Bus, listener: Listener) -> None:
    for stop in (bus.unsubscribe, bus.punsubscribe):
        with pytest.raises(KeyError):
            stop("exact" if stop == bus.punsubscribe else "to:*", listener)


async def test_listening_again_at_once_is_listening(bus: Bus) -> None:
    later = Listener()
    first = bus.subscribe("later", later)
    bus.unsubscribe("later", later)
    assert await bus.subscribe("later", later) and not await first
    bus.unsubscribe("later", later)
    assert await bus.subscribe("later", later)
    bus.unsubscribe("later", later)
    await bus.subscribe("fence", later)
    assert await bus.subscribe("later", later)
    assert await bus.publish("later", b"") == 1


async def test_a_message_is_handed_once_to_whom_it_concerns_twice(bus: Bus, listener: Listener) -> None:
    other = Listener()
    await asyncio.gather(
        bus.subscribe("to:a", listener), bus.psubscribe("to:?", listener), bus.psubscribe("*", listener), bus.psubscribe("t*", other)
    )
    for _ in range(3):
        await bus.publish("to:a", b"same")
    await bus.publish("to:long", b"last")
    await until(lambda: len(other.heard) == 4)
    assert [payload for _, payload in listener.heard] == [b"same"] * 3 + [b"last"] == [payload for _, payload in other.heard]


async def test_a_pattern_that_joins_between_two_messages_takes_none(bus: Bus, listener: Listener) -> None:
    await bus.publish("to:a", b"1")
    await bus.psubscribe("*:a", listener)
    await bus.publish("to:a", b"2")
    bus.unsubscribe("exact", listener)
    bus.punsubscribe("to:*", listener)
    await bus.subscribe("fence", listener)
    await bus.publish("to:a", b"3")
    await until(lambda: len(listener.heard) == 3)
    assert [payload for _, payload in listener.heard] == [b"1", b"2", b"3"]


async def test_a_bus_without_anything_to_hear_is_connected(redis: None) -> None:
    bus = Bus()
    await bus.start()
    assert bus.connected
    await bus.stop()


async def test_whoever_waits_to_hear_is_let_go_at_the_end(restarting_redis: RestartingRedis) -> None:
    bus = Bus()
    await bus.start()
    restarting_redis.stop()
    await until(lambda: not bus.connected)
    heard = bus.subscribe("later", Listener())
    await bus.stop()
    assert await heard is False


async def test_another_redis_may_be_heard_and_spoken_to(redis: None, own_redis: RedisService) -> None:
    bus, listener = Bus(own_redis.url), Listener()
    await bus.start()
    await bus.subscribe("there", listener)
    assert await bus.publish("there", b"1") == 1
    assert connections.sync_redis().publish("there", b"2") == 0
    await until(lambda: listener.heard == [(b"there", b"1")])
    await bus.stop()


@pytest.fixture
def limited_url(redis: None, redis_service: RedisService) -> Iterator[str]:
    """For a user who may listen to `pub:*`, and nothing else."""
    acl = connections.sync_redis()
    acl.execute_command(
        "ACL", "SETUSER", "hearer", "reset", "resetchannels", "on", ">secret", "&pub:*", "-@all", "+subscribe", "+psubscribe"
    )
    yield redis_service.url.replace("redis://", "redis://hearer:secret@")
    acl.execute_command("ACL", "DELUSER", "hearer")


async def test_a_user_of_redis_who_may_only_listen_is_enough(limited_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_reader, "PING_SECONDS", 0.01)
    bus, listener = Bus(limited_url), Listener()
    await bus.start()
    assert bus.connected
    assert await bus.subscribe("pub:a", listener) and await bus.psubscribe("pub:*", listener)
    bus.unsubscribe("pub:a", listener)
    connections.sync_redis().publish("pub:a", b"1")
    await until(lambda: listener.heard == [(b"pub:a", b"1")])
    await bus.stop()
    assert bus.gaps == 0


async def test_what_redis_refuses_takes_nothing_else_with_it(limited_url: str) -> None:
    bus, listener = Bus(limited_url), Listener()
    await bus.start()
    assert await asyncio.gather(*(bus.subscribe(name, listener) for name in ("pub:a", "secret", "pub:b"))) == [True, False, True]
    await bus.stop()


# -- Redis away ----------------------------------------------------------------


async def test_a_redis_that_was_away_is_heard_again(
    restarting_redis: RestartingRedis, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    bus = Bus()
    bus.on_pattern("to:*", listener)
    await bus.start()
    restarting_redis.stop()
    await until(lambda: not bus.connected)
    assert bus.gaps == 1
    restarting_redis.start()
    await until(lambda: bus.connected)
    await until_published(bus)
    await until(lambda: listener.heard)
    assert [record.message.partition(" (")[0] for record in caplog.records] == [
        "Redis does not answer",
        "Redis answers again; topics receive messages",
    ]
    await bus.stop()


class Clock:
    """Stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_redis_that_is_silent_for_too_long_is_given_up(restarting_redis: RestartingRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_reader, "PING_SECONDS", 0.01)
    clock = Clock()
    bus = Bus(clock=clock)
    await bus.start()
    with restarting_redis.silent():
        async with asyncio.timeout(5):
            while bus.connected:  # what Redis had said before may still be on its way, and is heard now
                clock.now += bus_reader.SILENCE_SECONDS + 1
                await asyncio.sleep(0.005)
    await until(lambda: bus.connected)
    assert bus.gaps == 1
    await bus.stop()


async def test_a_redis_that_answers_is_not_given_up_however_little_is_published(redis: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_reader, "PING_SECONDS", 0.01)
    clock = Clock()
    bus = Bus(clock=clock)
    pongs: list[object] = []
    received = bus.received
    monkeypatch.setattr(bus, "received", lambda replies: (pongs.extend(replies), received(replies))[1])
    await bus.start()
    for _ in range(5):
        clock.now += bus_reader.SILENCE_SECONDS - 1
        before = len(pongs)
        await until(lambda: len(pongs) > before + 1)  # noqa: B023
    assert bus.connected and bus.gaps == 0
    await bus.stop()


async def test_what_was_listened_to_while_redis_was_away_is_heard_once_it_is_back(restarting_redis: RestartingRedis) -> None:
    bus, kept, left, later = Bus(), Listener(), Listener(), Listener()
    await bus.start()
    await asyncio.gather(bus.subscribe("kept", kept), bus.subscribe("left", left))
    restarting_redis.stop()
    await until(lambda: not bus.connected)
    heard = bus.psubscribe("later:*", later)
    bus.unsubscribe("left", left)
    restarting_redis.start()
    assert await heard
    for channel in ("kept", "left", "later:a"):
        await bus.publish(channel, b"1")
    await until(lambda: kept.heard and later.heard)
    assert left.heard == []
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


async def test_what_redis_does_not_take_is_refused(restarting_redis: RestartingRedis) -> None:
    bus = Bus()
    await bus.start()
    restarting_redis.stop()
    with pytest.raises(StreamError) as refused:
        await bus.publish("to:a", b"")
    assert refused.value.code == "redis_unavailable"
    await bus.stop()


async def test_it_starts_without_redis_and_hears_once_it_is_there(restarting_redis: RestartingRedis, listener: Listener) -> None:
    restarting_redis.stop()
    bus = Bus()
    bus.on_pattern("to:*", listener)
    await bus.start()
    assert not bus.connected
    restarting_redis.start()
    await until(lambda: bus.connected)
    await until_published(bus)
    await until(lambda: listener.heard)
    await bus.stop()


async def test_nobody_has_to_look_at_the_outcome(restarting_redis: RestartingRedis) -> None:
    bus = Bus()
    await bus.start()
    restarting_redis.stop()
    for _ in range(3):
        bus.publish("to:a", b"")
    await bus.stop()


# -- bursts --------------------------------------------------------------------


class BusyListener(Listener):
    """Keeps the event loop busy for a moment with each turn, and notes what was missed where."""

    def __call__(self, arrivals: list[Arrival]) -> None:
        super().__call__(arrivals)
        for _ in range(200_000):
            pass

    def missed(self, count: int | None) -> None:
        self.turns.append([Arrival(b"gap", b"%d" % (count or 0))])


def burst(messages: int, size: int) -> None:
    """All at once, numbered."""
    pipe = connections.sync_redis().pipeline(transaction=False)
    for number in range(messages):
        pipe.publish("to:a", b"%08d" % number + bytes(size - 8))
    pipe.execute()


def numbers(listener: Listener) -> list[int]:
    return [int(payload[:8]) for _, payload in listener.heard]


@pytest.mark.parametrize(("messages", "size"), [(60, 1_000_000), (3000, 20_000)])
async def test_a_burst_arrives_whole_however_busy_the_loop_is(redis: None, messages: int, size: int) -> None:
    bus, busy = Bus(), BusyListener()
    bus.on_pattern("to:*", busy)
    await bus.start()
    publishing = asyncio.create_task(asyncio.to_thread(burst, messages, size))
    await until(lambda: len(busy.heard) == messages or bus.gaps, 30)
    await publishing
    assert numbers(busy) == list(range(messages)) and bus.gaps == bus.dropped == 0
    await bus.stop()


async def test_redis_is_read_while_the_loop_does_nothing(bus: Bus, listener: Listener) -> None:
    burst(1000, 20_000)
    while any(int(client["omem"]) for client in connections.sync_redis().client_list("pubsub")):  # bytes that wait in Redis
        time.sleep(0.001)
    assert not listener.heard
    await until(lambda: len(listener.heard) == 1000)


async def test_a_turn_of_the_loop_is_given_little_at_a_time(bus: Bus, listener: Listener) -> None:
    burst(300, 20_000)
    await until(lambda: len(listener.heard) == 300)
    assert max(sum(len(arrival.payload) for arrival in turn) for turn in listener.turns) <= bus_reader.TURN_BYTES + 20_000


async def test_what_finds_no_room_is_counted_and_announced_where_it_is_missing(redis: None) -> None:
    bus, busy = Bus(most_waiting_bytes=300_000), BusyListener()
    bus.on_pattern("to:*", busy)
    bus.on_gap(busy.missed)
    await bus.start()
    burst(200, 20_000)  # the loop does nothing meanwhile
    await until(lambda: bus.dropped)
    await until(lambda: bus.gaps)
    await bus.publish("to:a", b"00000200")
    await until(lambda: numbers(busy)[-1] == 200)
    place = next(index for index, (channel, _) in enumerate(busy.heard) if channel == b"gap")
    before, missing, after = numbers(busy)[:place], numbers(busy)[place], numbers(busy)[place + 1 :]
    assert before == list(range(len(before))) and after[0] == len(before) + missing
    assert bus.connected
    await bus.stop()
    await connections.close_async_redis()


async def test_after_a_lost_connection_a_gap_is_announced_once_everything_arrives_again(bus: Bus, listener: Listener) -> None:
    gaps: list[int | None] = []
    bus.on_gap(gaps.append)
    connections.sync_redis().execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: gaps)
    assert gaps == [None] and bus.connected and bus.gaps == 1
    await bus.publish("to:a", b"1")
    await until(lambda: listener.heard == [(b"to:a", b"1")])
