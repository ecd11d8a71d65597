"""Channels: who is told what is published, and how often it is encoded for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from streaming.core.bus import Bus
from streaming.core.errors import StreamError
from streaming.core.redis import close_async_redis, sync_redis
from streaming.dialects.redis_commands.delivery.channels import Channels
from streaming.dialects.redis_commands.geojson.client_filters import Value
from streaming.dialects.redis_commands.geojson.crs import build
from streaming.redis_data.names import readable
from tests.core.restarting import RestartingRedis

from ..clients import LAST, Client

MERCATOR = build(3857)


@pytest.fixture
async def bus(redis: None) -> AsyncIterator[Bus]:
    bus = Bus()
    await bus.start()
    yield bus
    await bus.stop()
    await close_async_redis()


@pytest.fixture
def channels(bus: Bus) -> Channels:
    """The readable names are `pub:*`, `other:*` and `stations`."""
    return Channels(bus, readable("pub:*,other:*,stations"))


@pytest.fixture
def client() -> Client:
    return Client()


async def until(condition: Callable[[], object], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def say(channels: Channels, *messages: tuple[str, Any]) -> None:
    """Publish, and wait until a listener of its own has heard all."""
    last = Client()
    await channels.subscribe(last.listener, LAST)
    pipe = sync_redis().pipeline(transaction=False)
    for channel, content in messages:
        pipe.publish(channel, content if isinstance(content, bytes) else json.dumps(content))
    pipe.publish(LAST, "1")
    pipe.execute()
    await until(lambda: last.sender.told)
    channels.remove(last.listener)


def feature(x: float, y: float, **members: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": "Point", "coordinates": [x, y]}, "properties": None, **members}


# -- names ---------------------------------------------------------------------


async def test_what_is_published_is_told_with_its_channel(channels: Channels, client: Client) -> None:
    assert await channels.subscribe(client.listener, "pub:a") == [True]
    await say(channels, ("pub:a", {"n": 1}), ("pub:b", {"n": 2}))
    assert [(frame["source"], frame["content"], frame["client_reference"]) for frame in client.told] == [("pub:a", {"n": 1}, None)]


async def test_a_name_that_looks_like_a_pattern_is_a_name(channels: Channels, client: Client) -> None:
    await channels.subscribe(client.listener, "pub:*")
    await say(channels, ("pub:a", 1), ("pub:*", 2))
    assert client.contents == [2]


async def test_a_name_that_may_not_be_read_is_refused(channels: Channels, client: Client) -> None:
    with pytest.raises(StreamError) as refused:
        channels.subscribe(client.listener, "secret")
    assert refused.value.code == "forbidden" and not client.listener.channels


async def test_subscribing_again_tells_once_and_with_the_newer_reference(channels: Channels, client: Client) -> None:
    await channels.subscribe(client.listener, "pub:a", "old")
    await channels.subscribe(client.listener, "pub:a", "new")
    await say(channels, ("pub:a", 1))
    assert [frame["client_reference"] for frame in client.told] == ["new"]


async def test_whoever_unsubscribes_is_told_no_more(channels: Channels, client: Client) -> None:
    await channels.subscribe(client.listener, "pub:a")
    channels.unsubscribe(client.listener, "pub:a")
    channels.unsubscribe(client.listener, "pub:never")
    await say(channels, ("pub:a", 1))
    assert client.told == []


async def test_redis_is_not_listened_to_for_nobody(channels: Channels, client: Client) -> None:
    other = Client()
    for one in (client, client, other):
        await channels.subscribe(one.listener, "pub:a")
        await channels.psubscribe(one.listener, "*")
    channels.clear(client.listener)
    assert sync_redis().pubsub_numsub("pub:a") == [(b"pub:a", 1)] and sync_redis().pubsub_numpat() == 2
    channels.remove(other.listener)
    await until(lambda: sync_redis().pubsub_numpat() == 0)
    assert sync_redis().pubsub_channels() == []


async def test_a_client_has_so_many_channels_at_most(channels: Channels, client: Client, settings: Settings) -> None:
    settings.GEOSTREAM_REDIS_SUBSCRIPTIONS = 2
    channels.subscribe(client.listener, "pub:a")
    channels.subscribe(client.listener, "pub:b")
    channels.subscribe(client.listener, "pub:b")
    with pytest.raises(StreamError) as refused:
        channels.subscribe(client.listener, "pub:c")
    assert refused.value.code == "too_many_subscriptions"


# -- patterns ------------------------------------------------------------------


async def test_a_pattern_tells_of_readable_channels_like_it(channels: Channels, client: Client) -> None:
    await channels.psubscribe(client.listener, "*:[ab]")
    await say(channels, ("pub:a", 1), ("other:b", 2), ("pub:c", 3), ("secret:a", 4))
    assert [frame["source"] for frame in client.told] == ["pub:a", "other:b"]


async def test_a_pattern_finds_a_single_readable_name(channels: Channels, client: Client) -> None:
    await channels.psubscribe(client.listener, "stat*")
    await say(channels, ("stations", 1))
    assert [frame["source"] for frame in client.told] == ["stations"]


async def test_what_matches_a_name_and_patterns_is_told_once(channels: Channels, client: Client) -> None:
    await channels.psubscribe(client.listener, "pub:*", "pattern")
    await channels.psubscribe(client.listener, "*")
    await channels.subscribe(client.listener, "pub:a", "name")
    await say(channels, ("pub:a", 1), ("pub:a", 1), ("pub:b", 2))
    assert [(frame["content"], frame["client_reference"]) for frame in client.told] == [(1, "name"), (1, "name"), (2, "pattern")]


async def test_a_name_stays_when_its_pattern_goes(channels: Channels, client: Client) -> None:
    await channels.psubscribe(client.listener, "pub:*")
    await channels.subscribe(client.listener, "pub:a")
    channels.punsubscribe(client.listener, "pub:*")
    await say(channels, ("pub:a", 1), ("pub:b", 2))
    assert client.contents == [1]


async def test_a_pattern_that_comes_later_finds_channels_known_before(channels: Channels, client: Client) -> None:
    await channels.psubscribe(client.listener, "nothing")
    await say(channels, ("pub:a", 1))
    await channels.psubscribe(client.listener, "pub:?")
    await say(channels, ("pub:a", 2))
    assert client.contents == [2]


async def test_no_text_of_clients_becomes_a_pattern_of_redis(channels: Channels, client: Client) -> None:
    for glob in ("secret*", "*", "pub:[a-c]"):
        await channels.psubscribe(client.listener, glob)
    assert sync_redis().pubsub_numpat() == 2
    assert sync_redis().publish("secret", "1") == 0


async def test_a_client_has_so_many_patterns_at_most(channels: Channels, client: Client, settings: Settings) -> None:
    settings.GEOSTREAM_REDIS_PATTERNS = 1
    channels.psubscribe(client.listener, "a")
    with pytest.raises(StreamError) as refused:
        channels.psubscribe(client.listener, "b")
    assert refused.value.code == "too_many_subscriptions"


# -- contents ------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"{", b"NaN", b'"\xff"', b"[" * 100_000])
async def test_what_is_no_json_is_skipped_and_counted(channels: Channels, client: Client, payload: bytes) -> None:
    await channels.subscribe(client.listener, "pub:a")
    await say(channels, ("pub:a", payload), ("pub:a", 1))
    assert client.contents == [1] and channels.bad == 1


async def test_a_channel_whose_name_is_no_text_is_skipped(channels: Channels, client: Client) -> None:
    await channels.psubscribe(client.listener, "*")
    await say(channels, (b"pub:\xff", 1), ("pub:a", 2))  # type: ignore[arg-type]
    assert client.contents == [2]


async def test_only_what_is_in_the_box_is_told(channels: Channels, client: Client) -> None:
    client.filters.set_box((0, 0, 1, 1))
    await channels.subscribe(client.listener, "pub:a")
    await say(channels, ("pub:a", feature(1, 1, id="in")), ("pub:a", feature(2, 2, id="out")), ("pub:a", {"id": "no place"}))
    assert [content["id"] for content in client.contents] == ["in", "no place"]


async def test_a_box_that_moved_is_the_one_that_counts(channels: Channels, client: Client) -> None:
    client.filters.set_box((0, 0, 1, 1))
    await channels.subscribe(client.listener, "pub:a")
    await channels.psubscribe(client.listener, "pub:p*")
    client.filters.set_box((5, 5, 6, 6))
    channels.moved(client.listener)
    await say(channels, ("pub:a", feature(1, 1)), ("pub:a", feature(5, 5)), ("pub:p", feature(1, 1)), ("pub:p", feature(6, 6)))
    assert [content["geometry"]["coordinates"] for content in client.contents] == [[5, 5], [6, 6]]


async def test_without_its_box_a_client_is_told_everything(channels: Channels, client: Client) -> None:
    client.filters.set_box((0, 0, 1, 1))
    await channels.subscribe(client.listener, "pub:a")
    client.filters.clear_box()
    channels.moved(client.listener)
    await say(channels, ("pub:a", feature(9, 9)))
    assert len(client.told) == 1


async def test_a_box_may_be_in_metres_and_cross_the_antimeridian(channels: Channels, client: Client) -> None:
    metres = Client()
    metres.filters.set_box((100_000, 100_000, 200_000, 200_000), MERCATOR)
    client.filters.set_box((170, -10, -170, 10))
    for one in (metres, client):
        await channels.subscribe(one.listener, "pub:a")
    await say(channels, ("pub:a", feature(1.5, 1.5)), ("pub:a", feature(-175, 0)), ("pub:a", feature(175, 0)), ("pub:a", feature(100, 0)))
    assert [content["geometry"]["coordinates"] for content in metres.contents] == [[1.5, 1.5]]
    assert [content["geometry"]["coordinates"] for content in client.contents] == [[-175, 0], [175, 0]]


async def test_a_large_collection_is_told_where_one_of_it_is(channels: Channels, client: Client) -> None:
    client.filters.set_box((50, 0, 51, 1))
    await channels.subscribe(client.listener, "pub:a")
    everywhere = {"type": "FeatureCollection", "features": [feature(x, 0) for x in range(100)]}
    elsewhere = {"type": "FeatureCollection", "features": [feature(x, 50) for x in range(100)]}
    await say(channels, ("pub:a", everywhere), ("pub:a", elsewhere))
    assert client.contents == [everywhere]


async def test_of_many_boxes_only_those_around_a_place_are_tested(channels: Channels, monkeypatch: pytest.MonkeyPatch) -> None:
    tested: list[Any] = []
    passes = Value.passes
    monkeypatch.setattr(Value, "passes", lambda value, area: tested.append(area) or passes(value, area))
    clients = [Client() for _ in range(500)]
    for number, one in enumerate(clients):
        left, bottom = number % 25 * 4, number // 25 * 4
        one.filters.set_box((left, bottom, left + 3, bottom + 3))
        await channels.subscribe(one.listener, "pub:a")
    await say(channels, ("pub:a", feature(21, 21)))
    assert [number for number, one in enumerate(clients) if one.told] == [5 * 25 + 5]
    assert len(tested) < 20


# -- sharing -------------------------------------------------------------------


async def test_what_is_published_is_encoded_once_for_all_who_are_told_the_same(channels: Channels) -> None:
    clients = [Client() for _ in range(20)]
    for number, one in enumerate(clients):
        if number % 2:
            one.filters.set_projection(MERCATOR)
        if number < 10:
            one.filters.set_box((number / 100, 0, 10, 10), build(4326))
        await channels.subscribe(one.listener, "pub:a")
    await say(channels, ("pub:a", feature(1, 1)))
    assert len({id(one.sender.told[0]) for one in clients}) == 2
    assert clients[1].contents[0]["geometry"]["coordinates"] == pytest.approx([111319.49, 111325.14], abs=0.01)
    assert clients[0].contents == [feature(1, 1)]


async def test_those_with_a_reference_share_all_but_it(channels: Channels) -> None:
    references = [None, "a", "a", None]
    clients = [Client() for _ in references]
    for one, reference in zip(clients, references, strict=True):
        await channels.subscribe(one.listener, "pub:a", reference)
    await say(channels, ("pub:a", 1))
    assert [one.told[0].pop("client_reference") for one in clients] == references
    assert len({id(one.sender.told[0]) for one in clients}) == 2
    assert len({one.told[0]["timestamp"] for one in clients}) == 1


async def test_what_comes_in_one_turn_is_written_at_once_and_in_order(channels: Channels, client: Client) -> None:
    await channels.subscribe(client.listener, "pub:a")
    await channels.subscribe(client.listener, "pub:b")
    await say(channels, *((("pub:a", "pub:b")[number % 2], number) for number in range(200)))
    assert client.contents == list(range(200))
    assert len(client.sender.writes) < 20


# -- clients -------------------------------------------------------------------


async def test_of_too_much_that_waits_the_oldest_is_dropped_and_counted(channels: Channels) -> None:
    slow, quick = Client(limit=3), Client(limit=3)
    for one in (slow, quick):
        await channels.subscribe(one.listener, "pub:a")
    slow.sender.take(0)
    await say(channels, *(("pub:a", number) for number in range(10)))
    slow.sender.take(None)
    assert slow.contents == [7, 8, 9] and quick.contents == list(range(10))
    assert (channels.dropped, slow.listener.dropped, slow.slow) == (7, 7, [])


async def test_counts_do_not_go_back_when_a_client_leaves(channels: Channels) -> None:
    client = Client(limit=1)
    await channels.subscribe(client.listener, "pub:a")
    await say(channels, ("pub:a", 1))
    client.sender.take(0)
    await say(channels, ("pub:a", 2), ("pub:a", 3))
    before = channels.delivered, channels.dropped, channels.said
    channels.remove(client.listener)
    assert (channels.delivered, channels.dropped, channels.said) == before
    assert client.listener.outbox.messages == 0


async def test_a_client_that_cannot_be_told_does_not_keep_others_from_it(
    channels: Channels, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Client()
    monkeypatch.setattr(broken.sender, "write", lambda frames: frames.no_such_thing)
    for one in (broken, client):
        await channels.subscribe(one.listener, "pub:a")
    await say(channels, ("pub:a", 1))
    assert client.contents == [1] and broken.slow and "could not be told" in caplog.text


async def test_whoever_looks_sees_that_something_changed(channels: Channels, client: Client) -> None:
    revisions = [client.listener.revision]
    for change in (channels.subscribe, channels.unsubscribe, channels.psubscribe, channels.punsubscribe):
        change(client.listener, "pub:a")
        revisions.append(client.listener.revision)
    channels.unsubscribe(client.listener, "pub:a")
    assert revisions == [0, 1, 2, 3, 4] and client.listener.revision == 4


# -- Redis away ----------------------------------------------------------------


async def test_clients_hear_again_when_redis_is_back(tmp_path: Path, redis: None) -> None:
    server = RestartingRedis(tmp_path)
    bus = Bus(server.url)
    channels, client, later = Channels(bus, readable("pub:*")), Client(), Client()
    await bus.start()
    await channels.subscribe(client.listener, "pub:a")
    await channels.psubscribe(client.listener, "pub:p*")
    server.stop()
    await until(lambda: not bus.connected)
    subscribed = channels.subscribe(later.listener, "pub:b")
    server.start()
    assert await subscribed == [True]
    for channel in ("pub:a", "pub:b", "pub:pattern"):
        await bus.publish(channel, b"1")
    await until(lambda: len(client.told) == 2 and later.told)
    assert [frame["source"] for frame in client.told] == ["pub:a", "pub:pattern"]
    await bus.stop()
    server.stop()
