"""Large messages: prepared in threads, once for all who see the same, in order, and in the way of nobody else."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pytest_django import Settings

from streaming.core.bus import Arrival, Bus
from streaming.dialects.redis_commands.delivery import channels as channels_module
from streaming.dialects.redis_commands.delivery import lanes
from streaming.dialects.redis_commands.delivery.channels import ChannelSubscriptions
from streaming.dialects.redis_commands.delivery.dispatcher import Dispatcher
from streaming.dialects.redis_commands.delivery.lanes import Lanes
from streaming.dialects.redis_commands.geojson.crs import Crs, build
from streaming.dialects.redis_commands.geojson.values import Value
from streaming.engine.runtime import Runtime
from streaming.engine.work import WorkQueue
from streaming.redis_data.names import readable_names

from ..clients import Client, until
from ..documents import MERCATOR, SWISS, collection, point

LARGE = json.dumps(collection(*(point(8 + x / 1000, 47) for x in range(1500)))).encode()


@pytest.fixture
async def channels() -> AsyncIterator[ChannelSubscriptions]:
    """Of a bus that is not connected: messages are handed over as it would."""
    work = Runtime().service(WorkQueue)
    yield ChannelSubscriptions(Bus(), readable_names("pub:*"), Dispatcher(work))
    await work.stop()


class Held:
    """Large values are being taken apart, in a thread, until they are let go."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.entered, self._gone_on = threading.Event(), threading.Event()

    def value(self, text: bytes) -> Value:
        if len(text) > 60_000:
            self.threads.append(threading.get_ident())
            self.entered.set()
            assert self._gone_on.wait(10)
        return Value(text)

    def let_go(self) -> None:
        self._gone_on.set()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    held = Held()
    monkeypatch.setattr(channels_module, "Value", held.value)
    yield held
    held.let_go()


def subscribe(channels: ChannelSubscriptions, client: Client, name: str = "pub:a", projection: Crs | None = None, **options: Any) -> Client:
    if projection is not None:
        client.filters.set_projection(projection)
    channels.subscribe(client.subscriber, name, options.get("reference"))
    return client


def publish(channels: ChannelSubscriptions, *messages: tuple[str, bytes]) -> None:
    channels._receive([Arrival(name.encode(), payload) for name, payload in messages])


async def test_a_large_message_is_prepared_in_a_thread_and_nothing_else_waits_for_it(channels: ChannelSubscriptions, held: Held) -> None:
    client = subscribe(channels, Client())
    channels.subscribe(client.subscriber, "pub:b")
    publish(channels, ("pub:a", LARGE), ("pub:a", b"1"), ("pub:b", b"2"))
    assert client.contents == [2]
    await asyncio.to_thread(held.entered.wait, 10)
    publish(channels, ("pub:a", b"3"), ("pub:b", b"4"))
    assert client.contents == [2, 4]
    held.let_go()
    await until(lambda: len(client.received) == 5)
    assert client.contents[2:] == [json.loads(LARGE), 1, 3]
    assert held.threads and threading.get_ident() not in held.threads


async def test_each_different_answer_is_made_once_for_all(channels: ChannelSubscriptions) -> None:
    wanted = [None, MERCATOR, SWISS, MERCATOR, None, SWISS]
    clients = [subscribe(channels, Client(), projection=crs) for crs in wanted]
    publish(channels, ("pub:a", LARGE))
    await until(lambda: all(client.received for client in clients))
    assert len({id(client.sender.told[0]) for client in clients}) == 3
    for client, crs in zip(clients, wanted, strict=True):
        assert client.contents == [json.loads(Value(LARGE).content(crs) if crs else LARGE)]


async def test_boxes_keep_a_large_message_out_or_trim_it(channels: ChannelSubscriptions) -> None:
    inside, outside, trimmed = Client(), Client(), Client()
    inside.filters.set_box((8, 46, 8.001, 48))
    outside.filters.set_box((0, 0, 1, 1))
    trimmed.filters.set_box((8, 46, 8.001, 48))
    trimmed.filters.trim = True
    for client in (inside, outside, trimmed):
        subscribe(channels, client)
    publish(channels, ("pub:a", LARGE), ("pub:a", b"1"))
    await until(lambda: outside.received)
    assert (len(inside.contents[0]["features"]), len(trimmed.contents[0]["features"]), outside.contents) == (1500, 2, [1])


async def test_references_are_those_of_each_subscription(channels: ChannelSubscriptions) -> None:
    clients = [subscribe(channels, Client(), reference=reference) for reference in (None, "x", "y")]
    publish(channels, ("pub:a", LARGE))
    await until(lambda: all(client.received for client in clients))
    assert [client.received[0]["client_reference"] for client in clients] == [None, "x", "y"]


async def test_filters_that_change_meanwhile_are_those_that_count(channels: ChannelSubscriptions, held: Held) -> None:
    client = subscribe(channels, Client(), projection=MERCATOR)
    publish(channels, ("pub:a", LARGE))
    await asyncio.to_thread(held.entered.wait, 10)
    client.filters.set_projection(SWISS)
    client.subscriber.filters_changed()
    held.let_go()
    await until(lambda: client.received)
    assert client.contents == [json.loads(Value(LARGE).content(SWISS))]


async def test_who_unsubscribes_meanwhile_is_not_sent_it(channels: ChannelSubscriptions, held: Held) -> None:
    gone, stays = subscribe(channels, Client()), subscribe(channels, Client())
    publish(channels, ("pub:a", LARGE))
    await asyncio.to_thread(held.entered.wait, 10)
    channels.unsubscribe(gone.subscriber, "pub:a")
    held.let_go()
    await until(lambda: stays.received)
    assert gone.received == []


async def test_what_was_seen_before_a_change_is_sent_before_it(channels: ChannelSubscriptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.dialects.redis_commands.delivery.dispatcher.TURN_SECONDS", -1.0)
    client = subscribe(channels, Client())
    publish(channels, ("pub:a", b"1"), ("pub:a", b"2"))
    assert client.contents == []
    channels.unsubscribe(client.subscriber, "pub:a")
    assert client.contents == [1]


async def test_bad_messages_are_counted_and_what_waits_goes_on(channels: ChannelSubscriptions) -> None:
    client = subscribe(channels, Client())
    publish(channels, ("pub:a", b"[" + LARGE), ("pub:a", b"1"))
    await until(lambda: client.received)
    assert client.contents == [1] and channels.dispatcher.bad == 1


# -- more than can be prepared -------------------------------------------------


@pytest.fixture
def room_for_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MAX_WAITING", 3)


@pytest.mark.usefixtures("room_for_three")
async def test_of_too_many_that_wait_the_oldest_are_dropped_and_counted(channels: ChannelSubscriptions, held: Held) -> None:
    client = subscribe(channels, Client())
    publish(channels, ("pub:a", LARGE), *(("pub:a", b"%d" % number) for number in range(6)))
    held.let_go()
    await until(lambda: len(client.received) == 4)
    assert client.contents[1:] == [3, 4, 5] and channels.dispatcher.lanes.dropped == 3


@pytest.mark.usefixtures("room_for_three")
async def test_where_none_may_be_missed_clients_are_closed(channels: ChannelSubscriptions, held: Held, settings: Settings) -> None:
    settings.GEOSTREAM_REDIS_SLOW = "pub:a=close"
    client = subscribe(channels, Client())
    publish(channels, ("pub:a", LARGE), *(("pub:a", b"%d" % number) for number in range(4)))
    assert client.slow and "must not be missed" in client.slow[0]


@pytest.mark.usefixtures("room_for_three")
async def test_the_latest_of_each_feature_is_kept(channels: ChannelSubscriptions, held: Held, settings: Settings) -> None:
    settings.GEOSTREAM_REDIS_SLOW = "pub:a=latest"
    client = subscribe(channels, Client())
    moves = [json.dumps({**point(x, 0), "id": x % 2}).encode() for x in range(10)]
    publish(channels, ("pub:a", LARGE), *(("pub:a", move) for move in moves))
    held.let_go()
    await until(lambda: len(client.received) == 3)
    assert [content["geometry"]["coordinates"][0] for content in client.contents[1:]] == [8, 9]
    assert channels.dispatcher.lanes.replaced == 8 and not channels.dispatcher.lanes.dropped


def test_nothing_is_left_of_a_lane_that_is_closed() -> None:
    class Waiting:
        source, size, key, may_be_dropped = "a", 1, None, True

    lanes = Lanes()
    assert lanes.open(Waiting())  # type: ignore[arg-type]
    lanes.append(Waiting())  # type: ignore[arg-type]
    assert lanes.next("a") is not None and lanes.next("a") is None
    assert "a" not in lanes


async def test_what_waited_behind_a_large_message_comes_before_what_came_later(
    channels: ChannelSubscriptions, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming.dialects.redis_commands.delivery.dispatcher.TURN_SECONDS", -1.0)  # one message a turn
    client = subscribe(channels, Client())
    channels.subscribe(client.subscriber, "pub:b")
    publish(channels, ("pub:a", LARGE), ("pub:a", b"1"))
    await asyncio.to_thread(held.entered.wait, 10)
    await until(lambda: not channels.dispatcher._arrived)
    publish(channels, *[("pub:b", b"0")] * 2000, ("pub:a", b"2"))
    held.let_go()
    await until(lambda: 2 in client.contents)
    assert [content for content in client.contents if content in (1, 2)] == [1, 2]


async def test_messages_that_are_being_prepared_have_bounds_too(
    channels: ChannelSubscriptions, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "MAX_WAITING_BYTES", 3 * len(LARGE))
    client = Client()
    channels.psubscribe(client.subscriber, "pub:*")
    publish(channels, *[(f"pub:{number}", LARGE) for number in range(5)])
    assert channels.dispatcher.lanes.dropped == 2
    held.let_go()
    await until(lambda: len(client.received) == 3)
    assert {frame["source"] for frame in client.received} == {"pub:0", "pub:1", "pub:2"}
    publish(channels, *[(f"pub:{number}", LARGE) for number in range(3)])
    await until(lambda: len(client.received) == 6)
    assert channels.dispatcher.lanes.dropped == 2


async def test_a_flood_of_one_channel_costs_the_others_nothing(channels: ChannelSubscriptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.dialects.redis_commands.delivery.dispatcher.TURN_SECONDS", -1.0)
    monkeypatch.setattr("streaming.dialects.redis_commands.delivery.arrivals.MAX_WAITING", 100)
    client = subscribe(channels, Client())
    channels.subscribe(client.subscriber, "pub:b")
    publish(channels, ("pub:a", b"0"))
    publish(channels, *[("pub:b" if number % 100 == 0 else "pub:a", b"%d" % number) for number in range(1000)])
    await until(lambda: 999 in client.contents)
    of = {name: [frame["content"] for frame in client.received if frame["source"] == name] for name in ("pub:a", "pub:b")}
    assert of["pub:b"] == [*range(0, 1000, 100)]
    assert of["pub:a"] == [0, *[number for number in range(1000) if number % 100][-90:]]
    assert channels.dispatcher.lanes.dropped == 900


# -- threads -------------------------------------------------------------------


async def test_the_loop_and_each_thread_have_transformers_of_their_own() -> None:
    crs = build(2056)
    assert isinstance(crs, Crs)
    here = crs.transformer
    there = await asyncio.to_thread(lambda: crs.transformer)
    assert here is not None and there is not None and here is not there
    assert await asyncio.to_thread(there.transform, 7.45, 46.95) == pytest.approx(here.transform(7.45, 46.95))
