"""Layers that are fed from Redis: what is published there, by whomever, is in the layer once, whole, and in order."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis as redis_client
from pytest_django import Settings

from streaming.core import leader as leader_module
from streaming.core.errors import StreamError
from streaming.core.redis import close_async_redis, sync_redis
from streaming.core.tasks import cancel
from streaming.features.layers import catalogue, layer_feed
from streaming.models import Layer
from streaming.redis_data import layer_feeder as layer_feeder_module
from streaming.redis_data.layer_feeder import FEEDER, LayerFeeder
from streaming.redis_data.layer_writer import LayerWriter, ReceivedValue
from streaming.server.embedded_redis import RedisService
from tests.core.restarting import RestartingRedis

from ..dialects.redis_commands.clients import until

Start = Callable[[str], Awaitable[LayerFeeder]]


@pytest.fixture
async def start(redis: None, transactional_db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """Starts processes that feed `fleet` from `pub:fleet` and `flights` from `flights:*`; they look after each other often."""
    settings.GEOSTREAM_REDIS_LAYERS = "pub:fleet=fleet, flights:*=flights"
    monkeypatch.setattr(leader_module, "RENEW_SECONDS", 0.02)
    processes: list[LayerFeeder] = []

    async def start_one(node: str) -> LayerFeeder:
        processes.append(LayerFeeder(node))
        await processes[-1].start()
        return processes[-1]

    yield start_one
    for process in processes:
        await process.stop()
    await close_async_redis()


@pytest.fixture
async def feeding(start: Start) -> LayerFeeder:
    process = await start("one")
    await until(lambda: process.feeding)
    return process


def feature(identity: Any = None, x: float = 0.0, **properties: Any) -> dict[str, Any]:
    named = {} if identity is None else {"id": identity}
    return {"type": "Feature", **named, "geometry": {"type": "Point", "coordinates": [x, 0.0]}, "properties": properties}


def collection(*features: dict[str, Any]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": [*features]}


def publish(channel: str, *values: Any) -> None:
    pipe = sync_redis().pipeline(transaction=False)
    for value in values:
        pipe.publish(channel, value if isinstance(value, bytes) else json.dumps(value))
    pipe.execute()


def held(layer: str) -> dict[Any, float]:
    """Where each feature of a layer is."""
    state = layer_feed(catalogue._rows[layer]).read_sync() if layer in catalogue._rows else None
    features = [msgspec.json.decode(stored[13:]) for stored in state.stored.values()] if state else []
    return {one["id"]: one["geometry"]["coordinates"][0] for one in features}


def log(layer: str) -> list[Any]:
    """The places a layer was told, in order."""
    entries = sync_redis().xrange(layer_feed(catalogue._rows[layer]).log_key)
    return [msgspec.json.decode(fields[b"n"][13:])["geometry"]["coordinates"][0] for _, fields in entries]


def received(value: Any, layer: str) -> ReceivedValue:
    return ReceivedValue(0.0, "name", layer, json.dumps(value).encode())


# -- what is published ---------------------------------------------------------


async def test_features_and_collections_are_in_the_layer_which_is_made(feeding: LayerFeeder) -> None:
    publish("pub:fleet", feature("a", 1), collection(feature(2, 2), feature("c", 3, id="not this")))
    await until(lambda: feeding.stored == 3)
    assert held("fleet") == {"a": 1, 2: 2, "c": 3}


async def test_channels_of_a_pattern_feed_one_layer_and_others_none(feeding: LayerFeeder) -> None:
    publish("elsewhere", feature("x", 1))
    publish("flights:lx", feature("lx1", 1))
    publish("flights:ba", feature("ba1", 2))
    await until(lambda: held("flights") == {"lx1": 1, "ba1": 2})


async def test_every_change_is_stored_in_order(feeding: LayerFeeder) -> None:
    publish("pub:fleet", *(feature("a", x) for x in range(100)))
    await until(lambda: held("fleet") == {"a": 99})
    assert log("fleet") == list(range(100))


async def test_bad_values_are_counted_and_cost_nothing_but_themselves(feeding: LayerFeeder, caplog: pytest.LogCaptureFixture) -> None:
    bad = [b"no json", b"", b"\xff", {"type": "Point", "coordinates": [1, 2]}, 7, b"[" * 100_000]
    refused = [feature(), feature(x=500.0, id="a"), feature(1.5), {**feature("b"), "geometry": {"type": "Round"}}]
    publish("pub:fleet", *bad, *refused[:2], collection(feature("good", 1), *refused[2:]), feature("last", 2))
    await until(lambda: feeding.bad == len(bad) and feeding.stored == 2)
    assert feeding.refused == len(refused) and held("fleet") == {"good": 1, "last": 2}
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


async def test_the_limits_of_the_layer_hold(feeding: LayerFeeder, settings: Settings) -> None:
    settings.GEOSTREAM_MAX_BODY_BYTES = 1000
    await asyncio.to_thread(Layer.objects.create, name="fleet", max_features=2)
    publish("pub:fleet", feature("huge", name="x" * 1000), *(feature(number, number) for number in range(4)))
    await until(lambda: feeding.refused == 2)
    assert held("fleet") == {0: 0, 1: 1} and feeding.bad == 1


async def test_what_is_written_again_is_counted_once(redis: None, transactional_db: None) -> None:
    writer = LayerWriter()
    await writer.write([received(feature("first", 1), layer) for layer in ("fleet", "flights")])
    assert (writer.stored, writer.refused, writer.bad) == (2, 0, 0)
    state = layer_feed(catalogue._rows["flights"]).keys[0]
    sync_redis().rename(state, "aside")
    sync_redis().set(state, "in the way")
    both = [
        received(collection(feature("second", 2), feature(1.5)), "fleet"),
        received(7, "fleet"),
        received(feature("second", 2), "flights"),
    ]
    with pytest.raises(StreamError):
        await writer.write(both)
    sync_redis().rename("aside", state)
    await writer.write(both)
    assert (writer.stored, writer.refused, writer.bad) == (4, 1, 1)
    await close_async_redis()


async def test_of_what_was_held_the_last_of_each_feature_is_stored_and_every_bad_one_counted(redis: None, transactional_db: None) -> None:
    writer = LayerWriter()
    held_back = [feature("a", 1), feature(), feature("a", 2), feature(), feature("b", 1), 7, feature("a", 3)]
    await writer.write([received(value, "fleet") for value in held_back], latest_only=True)
    assert log("fleet") == [3, 1]
    assert (writer.stored, writer.refused, writer.bad) == (2, 2, 1)
    await close_async_redis()


async def test_a_large_collection_is_stored(feeding: LayerFeeder) -> None:
    publish("pub:fleet", collection(*(feature(number, 1, name="x" * 300) for number in range(1500))))
    await until(lambda: len(held("fleet")) == 1500)


@pytest.mark.parametrize(("bound", "most"), [("MAX_WAITING", 10), ("MAX_WAITING_BYTES", 1000)])
async def test_of_too_much_the_oldest_is_dropped_and_counted(
    feeding: LayerFeeder, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(layer_feeder_module, bound, most)
    taking = asyncio.Event()

    class Stuck(LayerWriter):
        async def write(self, values: Any, latest_only: bool = False) -> None:
            await taking.wait()
            await super().write(values, latest_only)

    feeding.writer = Stuck()
    publish("pub:fleet", *(feature(number, number) for number in range(100)))
    await until(lambda: feeding.dropped >= 80)
    taking.set()
    await until(lambda: 99 in held("fleet"))
    assert len(held("fleet")) == 100 - feeding.dropped


async def test_another_redis_may_be_the_source(
    redis_service: RedisService, own_redis: RedisService, settings: Settings, start: Start
) -> None:
    settings.GEOSTREAM_REDIS_COMMANDS_URL = own_redis.url
    with redis_client.Redis.from_url(own_redis.url) as other:
        other.hset("pub:fleet", "one", json.dumps(feature("stored", 1)))
        process = await start("one")
        await until(lambda: held("fleet") == {"stored": 1})
        other.publish("pub:fleet", json.dumps(feature("published", 2)))
        await until(lambda: held("fleet") == {"stored": 1, "published": 2})
    assert process.feeding and sync_redis().exists(FEEDER)


# -- hashes --------------------------------------------------------------------


async def test_hashes_of_the_same_names_are_read_at_the_start(start: Start) -> None:
    sync_redis().hset("pub:fleet", mapping={str(number): json.dumps(feature(number, 1)) for number in range(1200)})
    sync_redis().hset("flights:lx", "x", json.dumps(feature("lx1", 2)))
    sync_redis().hset("other", "x", json.dumps(feature("no", 2)))
    sync_redis().set("flights:text", json.dumps(feature("no", 2)))
    await start("one")
    await until(lambda: len(held("fleet")) == 1200 and held("flights") == {"lx1": 2})


async def test_hashes_are_not_read_again_unless_the_setting_says_so(feeding: LayerFeeder) -> None:
    await until(lambda: feeding._pages is None)
    sync_redis().hset("pub:fleet", "x", json.dumps(feature("late", 1)))
    await feeding._leader.renew()
    publish("pub:fleet", feature("a", 1))
    await until(lambda: held("fleet"))
    assert held("fleet") == {"a": 1}


async def test_hashes_are_read_again_after_a_while(start: Start, settings: Settings) -> None:
    settings.GEOSTREAM_REDIS_LAYERS_SECONDS = 0.01
    await start("one")
    sync_redis().hset("pub:fleet", "x", json.dumps(feature("a", 1)))
    await until(lambda: held("fleet") == {"a": 1})
    sync_redis().hset("pub:fleet", "x", json.dumps(feature("a", 2)))
    await until(lambda: held("fleet") == {"a": 2})


async def test_hashes_are_read_again_when_messages_may_have_been_missed(tmp_path: Path, settings: Settings, start: Start) -> None:
    server = RestartingRedis(tmp_path)
    settings.GEOSTREAM_REDIS_COMMANDS_URL = server.url
    process = await start("one")
    await until(lambda: process.feeding and process._pages is None)
    with redis_client.Redis.from_url(server.url) as other:
        other.hset("pub:fleet", "x", json.dumps(feature("missed", 1)))
    server.stop()
    await until(lambda: not process._bus.connected)
    server.start()
    await until(lambda: held("fleet") == {"missed": 1})
    server.stop()


# -- several processes ---------------------------------------------------------


async def test_one_process_stores_and_another_one_takes_over(feeding: LayerFeeder, start: Start) -> None:
    other = await start("two")
    publish("pub:fleet", feature("a", 1))
    await until(lambda: held("fleet") == {"a": 1})
    assert not other.feeding and other.stored == 0
    await feeding.stop()
    publish("pub:fleet", feature("a", 2))
    await until(lambda: held("fleet") == {"a": 2})
    assert other.feeding


async def test_what_nobody_stored_when_the_feeder_died_is_stored_by_the_next(feeding: LayerFeeder, start: Start) -> None:
    other = await start("two")
    publish("pub:fleet", *(feature("a", x) for x in range(5)))
    await until(lambda: held("fleet") == {"a": 4})
    await die(feeding)
    publish("pub:fleet", feature("a", 5), feature("b", 6))
    await until(lambda: len(other._received) == 7)
    sync_redis().delete(FEEDER)  # what Redis does when its time is up
    await until(lambda: held("fleet") == {"a": 5, "b": 6})
    assert log("fleet") == [0, 1, 2, 3, 4, 5, 6], "old places came back"


async def test_what_was_held_long_enough_is_forgotten(feeding: LayerFeeder, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_feeder_module, "HOLD_SECONDS", 0.01)
    other = await start("two")
    publish("pub:fleet", feature("a", 1))
    await until(lambda: held("fleet") == {"a": 1})
    await until(lambda: not other._received)
    assert other.stored == 0


async def test_what_a_feeder_could_not_store_is_not_stored_when_it_feeds_again(
    feeding: LayerFeeder, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(LayerWriter):
        async def write(self, values: Any, latest_only: bool = False) -> None:
            raise StreamError("redis_unavailable", "not now")

    usual, feeding.writer = feeding.writer, Refusing()
    publish("pub:fleet", feature("a", 1))
    await until(lambda: feeding._batch)
    await freeze(feeding)
    feeding._leader._until = 0.0
    sync_redis().delete(FEEDER)
    other = await start("two")
    await until(lambda: other.feeding)
    publish("pub:fleet", feature("a", 2))
    await until(lambda: held("fleet") == {"a": 2})
    monkeypatch.setattr(layer_feeder_module, "HOLD_SECONDS", 0.0)
    await feeding._leader.renew()
    assert not feeding.feeding
    await other.stop()
    feeding.writer = usual
    await feeding._leader.renew()
    assert feeding.feeding
    publish("pub:fleet", feature("b", 3))
    await until(lambda: "b" in held("fleet"))
    assert log("fleet") == [2, 3], "an old place came back"


async def test_a_process_that_only_holds_what_another_one_stores_drops_nothing(
    feeding: LayerFeeder, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_feeder_module, "MAX_WAITING", 3)
    other = await start("two")
    for number in range(6):
        publish("pub:fleet", feature(number, number))
        await until(lambda: feeding.stored > number)  # noqa: B023
    await until(lambda: other._received and b'"id": 5' in other._received[-1].value)
    assert len(other._received) == 3
    assert feeding.dropped == other.dropped == 0


async def test_a_feeder_whose_time_is_up_stores_nothing(feeding: LayerFeeder, start: Start) -> None:
    await start("two")
    await freeze(feeding)
    feeding._leader._until = 0.0
    sync_redis().delete(FEEDER)
    publish("pub:fleet", feature("a", 1))
    await until(lambda: feeding._received)
    feeding._worker.wake()
    await until(lambda: held("fleet") == {"a": 1})
    assert feeding.stored == 0 and len(feeding._received) == 1


async def test_values_are_stored_again_when_redis_refused_them(feeding: LayerFeeder, caplog: pytest.LogCaptureFixture) -> None:
    publish("pub:fleet", feature("first", 1))
    await until(lambda: feeding.stored == 1)
    sync_redis().config_set("maxmemory", 1)
    try:
        publish("pub:fleet", feature("second", 2))
        await until(lambda: "what feeds layers waits" in caplog.text)
        assert feeding.stored == 1
    finally:
        sync_redis().config_set("maxmemory", 0)
    await until(lambda: held("fleet") == {"first": 1, "second": 2})


async def freeze(process: LayerFeeder) -> None:
    """It renews nothing any more."""
    assert process._leader._renewals is not None
    await cancel([process._leader._renewals])


async def die(process: LayerFeeder) -> None:
    """It does nothing any more, as a process that was killed."""
    await freeze(process)
    await process._worker.stop()
    process._leader._until = 0.0
