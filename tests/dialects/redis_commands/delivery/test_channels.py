"""Subscriptions to channels: which clients are sent what is published, and how often it is encoded for them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from streaming.core.bus import Bus
from streaming.core.errors import StreamError
from streaming.core.redis import close_async_redis, sync_redis
from streaming.dialects.redis_commands.delivery.channels import ChannelSubscriptions
from streaming.dialects.redis_commands.delivery.dispatcher import Dispatcher
from streaming.dialects.redis_commands.geojson.crs import build
from streaming.dialects.redis_commands.geojson.values import Value
from streaming.engine.runtime import Runtime
from streaming.engine.work import WorkQueue
from streaming.redis_data.glob import Glob
from streaming.redis_data.names import readable_names
from tests.core.restarting import RestartingRedis

from ..clients import LAST, Client, until

MERCATOR = build(3857)


@pytest.fixture
async def bus(redis: None) -> AsyncIterator[Bus]:
    bus = Bus()
    await bus.start()
    yield bus
    await bus.stop()
    await close_async_redis()


@pytest.fixture
async def work(redis: None) -> AsyncIterator[WorkQueue]:
    queue = Runtime().service(WorkQueue)
    yield queue
    await queue.stop()


@pytest.fixture
def channels(bus: Bus, work: WorkQueue) -> ChannelSubscriptions:
    """The readable names are `pub:*`, `other:*` and `stations`."""
    return ChannelSubscriptions(bus, readable_names("pub:*,other:*,stations"), Dispatcher(work))


@pytest.fixture
def client() -> Client:
    return Client()


async def publish(channels: ChannelSubscriptions, *messages: tuple[str, Any]) -> None:
    """Publish, and wait until a subscriber of its own has received the last message."""
    last = Client()
    await channels.subscribe(last.subscriber, LAST)
    pipe = sync_redis().pipeline(transaction=False)
    for channel, content in messages:
        pipe.publish(channel, content if isinstance(content, bytes) else json.dumps(content))
    pipe.publish(LAST, "1")
    pipe.execute()
    await until(lambda: last.sender.told)
    channels.remove(last.subscriber)


def feature(x: float, y: float, **members: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": "Point", "coordinates": [x, y]}, "properties": None, **members}


# -- names ---------------------------------------------------------------------


async def test_what_is_published_is_sent_with_its_channel(channels: ChannelSubscriptions, client: Client) -> None:
    assert await channels.subscribe(client.subscriber, "pub:a") == [True]
    await publish(channels, ("pub:a", {"n": 1}), ("pub:b", {"n": 2}))
    assert [(frame["source"], frame["content"], frame["client_reference"]) for frame in client.received] == [("pub:a", {"n": 1}, None)]


async def test_a_name_that_looks_like_a_pattern_is_a_name(channels: ChannelSubscriptions, client: Client) -> None:
    await channels.subscribe(client.subscriber, "pub:*")
    await publish(channels, ("pub:a", 1), ("pub:*", 2))
    assert client.contents == [2]


async def test_a_name_that_may_not_be_read_is_refused(channels: ChannelSubscriptions, client: Client) -> None:
    with pytest.raises(StreamError) as refused:
        channels.subscribe(client.subscriber, "secret")
    assert refused.value.code == "forbidden" and not client.subscriber.channels


async def test_subscribing_again_sends_once_and_with_the_newer_reference(channels: ChannelSubscriptions, client: Client) -> None:
    await channels.subscribe(client.subscriber, "pub:a", "old")
    await channels.subscribe(client.subscriber, "pub:a", "new")
    await publish(channels, ("pub:a", 1))
    assert [frame["client_reference"] for frame in client.received] == ["new"]


async def test_a_client_that_unsubscribes_is_sent_no_more(channels: ChannelSubscriptions, client: Client) -> None:
    await channels.subscribe(client.subscriber, "pub:a")
    channels.unsubscribe(client.subscriber, "pub:a")
    channels.unsubscribe(client.subscriber, "pub:never")
    await publish(channels, ("pub:a", 1))
    assert client.received == []


async def test_no_subscription_in_redis_outlives_its_subscribers(channels: ChannelSubscriptions, client: Client) -> None:
    other = Client()
    for one in (client, client, other):
        await channels.subscribe(one.subscriber, "pub:a")
        await channels.psubscribe(one.subscriber, "*")
    channels.clear(client.subscriber)
    assert sync_redis().pubsub_numsub("pub:a") == [(b"pub:a", 1)] and sync_redis().pubsub_numpat() == 2
    channels.remove(other.subscriber)
    await until(lambda: sync_redis().pubsub_numpat() == 0)
    assert sync_redis().pubsub_channels() == []


async def test_a_client_has_so_many_channels_at_most(channels: ChannelSubscriptions, client: Client, settings: Settings) -> None:
    settings.GEOSTREAM_REDIS_SUBSCRIPTIONS = 2
    channels.subscribe(client.subscriber, "pub:a")
    channels.subscribe(client.subscriber, "pub:b")
    channels.subscribe(client.subscriber, "pub:b")
    with pytest.raises(StreamError) as refused:
        channels.subscribe(client.subscriber, "pub:c")
    assert refused.value.code == "too_many_subscriptions"


# -- patterns ------------------------------------------------------------------


async def test_a_pattern_finds_the_readable_channels_that_it_matches(channels: ChannelSubscriptions, client: Client) -> None:
    await channels.psubscribe(client.subscriber, "*:[ab]")
    await publish(channels, ("pub:a", 1), ("other:b", 2), ("pub:c", 3), ("secret:a", 4))
    assert [frame["source"] for frame in client.received] == ["pub:a", "other:b"]


async def test_a_pattern_finds_a_single_readable_name(channels: ChannelSubscriptions, client: Client) -> None:
    await channels.psubscribe(client.subscriber, "stat*")
    await publish(channels, ("stations", 1))
    assert [frame["source"] for frame in client.received] == ["stations"]


async def test_what_matches_a_name_and_patterns_is_sent_once(channels: ChannelSubscriptions, client: Client) -> None:
    await channels.psubscribe(client.subscriber, "pub:*", "pattern")
    await channels.psubscribe(client.subscriber, "*")
    await channels.subscribe(client.subscriber, "pub:a", "name")
    await publish(channels, ("pub:a", 1), ("pub:a", 1), ("pub:b", 2))
    assert [(frame["content"], frame["client_reference"]) for frame in client.received] == [(1, "name"), (1, "name"), (2, "pattern")]


async def test_a_name_stays_when_its_pattern_goes(channels: ChannelSubscriptions, client: Client) -> None:
    await channels.psubscribe(client.subscriber, "pub:*")
    await channels.subscribe(client.subscriber, "pub:a")
    channels.punsubscribe(client.subscriber, "pub:*")
    await publish(channels, ("pub:a", 1), ("pub:b", 2))
    assert client.contents == [1]


async def test_a_pattern_that_comes_later_finds_channels_known_before(channels: ChannelSubscriptions, client: Client) -> None:
    await channels.psubscribe(client.subscriber, "nothing")
    await publish(channels, ("pub:a", 1))
    await channels.psubscribe(client.subscriber, "pub:?")
    await publish(channels, ("pub:a", 2))
    assert client.contents == [2]


async def test_no_text_of_clients_becomes_a_pattern_of_redis(channels: ChannelSubscriptions, client: Client) -> None:
    for glob in ("secret*", "*", "pub:[a-c]"):
        await channels.psubscribe(client.subscriber, glob)
    assert sync_redis().pubsub_numpat() == 2
    assert sync_redis().publish("secret", "1") == 0


async def test_a_client_has_so_many_patterns_at_most(channels: ChannelSubscriptions, client: Client, settings: Settings) -> None:
    settings.GEOSTREAM_REDIS_PATTERNS = 1
    channels.psubscribe(client.subscriber, "a")
    with pytest.raises(StreamError) as refused:
        channels.psubscribe(client.subscriber, "b")
    assert refused.value.code == "too_many_subscriptions"


async def test_all_clients_have_so_many_different_patterns_at_most(
    channels: ChannelSubscriptions, client: Client, settings: Settings
) -> None:
    settings.GEOSTREAM_REDIS_GLOBS = 2
    for glob in ("pub:a", "pub:b", "pub:a"):
        channels.psubscribe(client.subscriber, glob)
    with pytest.raises(StreamError) as refused:
        channels.psubscribe(Client().subscriber, "pub:c")
    assert refused.value.code == "rate_limited"
    channels.psubscribe(Client().subscriber, "pub:a")
    channels.punsubscribe(client.subscriber, "pub:b")
    channels.psubscribe(client.subscriber, "pub:c")


async def test_a_name_is_compared_once_with_each_pattern(
    channels: ChannelSubscriptions, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = Counter[tuple[str, str]]()
    matches = Glob.matches
    monkeypatch.setattr(Glob, "matches", lambda self, name: compared.update([(self.text, name)]) or matches(self, name))
    for number in range(3):
        await channels.psubscribe(client.subscriber, "*")  # it stays
        await channels.psubscribe(client.subscriber, f"*a{'*' * number}")
        await publish(channels, ("pub:a", number))
        channels.punsubscribe(client.subscriber, f"*a{'*' * number}")
    channels.punsubscribe(client.subscriber, "*")
    await publish(channels, ("pub:a", 4))
    assert client.contents == [0, 1, 2] and compared["*", "pub:a"] == compared["*a", "pub:a"] == 1


# -- contents ------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"{", b"NaN", b'"\xff"', b"[" * 100_000])
async def test_what_is_no_json_is_skipped_and_counted(channels: ChannelSubscriptions, client: Client, payload: bytes) -> None:
    await channels.subscribe(client.subscriber, "pub:a")
    await publish(channels, ("pub:a", payload), ("pub:a", 1))
    await until(lambda: client.received)
    assert client.contents == [1] and channels.dispatcher.bad == 1


async def test_a_channel_whose_name_is_no_text_is_skipped(channels: ChannelSubscriptions, client: Client) -> None:
    await channels.psubscribe(client.subscriber, "*")
    await publish(channels, (b"pub:\xff", 1), ("pub:a", 2))  # type: ignore[arg-type]
    assert client.contents == [2]


async def test_only_what_is_in_the_box_is_sent(channels: ChannelSubscriptions, client: Client) -> None:
    client.filters.set_box((0, 0, 1, 1))
    await channels.subscribe(client.subscriber, "pub:a")
    await publish(channels, ("pub:a", feature(1, 1, id="in")), ("pub:a", feature(2, 2, id="out")), ("pub:a", {"id": "no place"}))
    assert [content["id"] for content in client.contents] == ["in", "no place"]


async def test_a_box_that_moved_is_the_one_that_counts(channels: ChannelSubscriptions, client: Client) -> None:
    client.filters.set_box((0, 0, 1, 1))
    await channels.subscribe(client.subscriber, "pub:a")
    await channels.psubscribe(client.subscriber, "pub:p*")
    client.filters.set_box((5, 5, 6, 6))
    client.subscriber.filters_changed()
    await publish(channels, ("pub:a", feature(1, 1)), ("pub:a", feature(5, 5)), ("pub:p", feature(1, 1)), ("pub:p", feature(6, 6)))
    assert [content["geometry"]["coordinates"] for content in client.contents] == [[5, 5], [6, 6]]


async def test_without_its_box_a_client_is_sent_everything(channels: ChannelSubscriptions, client: Client) -> None:
    client.filters.set_box((0, 0, 1, 1))
    await channels.subscribe(client.subscriber, "pub:a")
    client.filters.clear_box()
    client.subscriber.filters_changed()
    await publish(channels, ("pub:a", feature(9, 9)))
    assert len(client.received) == 1


async def test_a_box_may_be_in_metres_and_cross_the_antimeridian(channels: ChannelSubscriptions, client: Client) -> None:
    metres = Client()
    metres.filters.set_box((100_000, 100_000, 200_000, 200_000), MERCATOR)
    client.filters.set_box((170, -10, -170, 10))
    for one in (metres, client):
        await channels.subscribe(one.subscriber, "pub:a")
    await publish(
        channels, ("pub:a", feature(1.5, 1.5)), ("pub:a", feature(-175, 0)), ("pub:a", feature(175, 0)), ("pub:a", feature(100, 0))
    )
    assert [content["geometry"]["coordinates"] for content in metres.contents] == [[1.5, 1.5]]
    assert [content["geometry"]["coordinates"] for content in client.contents] == [[-175, 0], [175, 0]]


async def test_a_large_collection_is_sent_where_one_of_its_features_is(channels: ChannelSubscriptions, client: Client) -> None:
    client.filters.set_box((50, 0, 51, 1))
    await channels.subscribe(client.subscriber, "pub:a")
    everywhere = {"type": "FeatureCollection", "features": [feature(x, 0) for x in range(100)]}
    elsewhere = {"type": "FeatureCollection", "features": [feature(x, 50) for x in range(100)]}
    await publish(channels, ("pub:a", everywhere), ("pub:a", elsewhere))
    assert client.contents == [everywhere]


async def test_of_many_boxes_only_those_around_a_place_are_tested(channels: ChannelSubscriptions, monkeypatch: pytest.MonkeyPatch) -> None:
    tested: list[Any] = []
    passes = Value.passes
    monkeypatch.setattr(Value, "passes", lambda value, area: tested.append(area) or passes(value, area))
    clients = [Client() for _ in range(500)]
    for number, one in enumerate(clients):
        left, bottom = number % 25 * 4, number // 25 * 4
        one.filters.set_box((left, bottom, left + 3, bottom + 3))
        await channels.subscribe(one.subscriber, "pub:a")
    await publish(channels, ("pub:a", feature(21, 21)))
    assert [number for number, one in enumerate(clients) if one.received] == [5 * 25 + 5]
    assert len(tested) < 20


# -- sharing -------------------------------------------------------------------


async def test_what_is_published_is_encoded_once_for_all_that_are_sent_the_same(channels: ChannelSubscriptions) -> None:
    clients = [Client() for _ in range(20)]
    for number, one in enumerate(clients):
        if number % 2:
            one.filters.set_projection(MERCATOR)
        if number < 10:
            one.filters.set_box((number / 100, 0, 10, 10), build(4326))
        await channels.subscribe(one.subscriber, "pub:a")
    await publish(channels, ("pub:a", feature(1, 1)))
    assert len({id(one.sender.told[0]) for one in clients}) == 2
    assert clients[1].contents[0]["geometry"]["coordinates"] == pytest.approx([111319.49, 111325.14], abs=0.01)
    assert clients[0].contents == [feature(1, 1)]


async def test_those_with_a_reference_share_all_but_it(channels: ChannelSubscriptions) -> None:
    references = [None, "a", "a", None]
    clients = [Client() for _ in references]
    for one, reference in zip(clients, references, strict=True):
        await channels.subscribe(one.subscriber, "pub:a", reference)
    await publish(channels, ("pub:a", 1))
    assert [one.received[0].pop("client_reference") for one in clients] == references
    assert len({id(one.sender.told[0]) for one in clients}) == 2
    assert len({one.received[0]["timestamp"] for one in clients}) == 1


async def test_what_comes_in_one_turn_is_written_at_once_and_in_order(channels: ChannelSubscriptions, client: Client) -> None:
    await channels.subscribe(client.subscriber, "pub:a")
    await channels.subscribe(client.subscriber, "pub:b")
    await publish(channels, *((("pub:a", "pub:b")[number % 2], number) for number in range(200)))
    assert client.contents == list(range(200))
    assert len(client.sender.writes) < 20


# -- clients -------------------------------------------------------------------


async def test_of_too_much_that_waits_the_oldest_is_dropped_and_counted(channels: ChannelSubscriptions) -> None:
    slow, quick = Client(limit=3), Client(limit=3)
    for one in (slow, quick):
        await channels.subscribe(one.subscriber, "pub:a")
    slow.sender.take(0)
    await publish(channels, *(("pub:a", number) for number in range(10)))
    slow.sender.take(None)
    assert slow.contents == [7, 8, 9] and quick.contents == list(range(10))
    assert (channels.total("dropped"), slow.subscriber.dropped, slow.slow) == (7, 7, [])


async def test_counts_do_not_go_back_when_a_client_leaves(channels: ChannelSubscriptions) -> None:
    client = Client(limit=1)
    await channels.subscribe(client.subscriber, "pub:a")
    await publish(channels, ("pub:a", 1))
    client.sender.take(0)
    await publish(channels, ("pub:a", 2), ("pub:a", 3))
    before = channels.total("delivered"), channels.total("dropped"), channels.received
    channels.remove(client.subscriber)
    assert (channels.total("delivered"), channels.total("dropped"), channels.received) == before
    assert client.subscriber.outbox.messages == 0


async def test_a_client_whose_delivery_fails_does_not_keep_others_from_theirs(
    channels: ChannelSubscriptions, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Client()
    monkeypatch.setattr(broken.sender, "write", lambda frames: frames.no_such_thing)
    for one in (broken, client):
        await channels.subscribe(one.subscriber, "pub:a")
    await publish(channels, ("pub:a", 1))
    assert client.contents == [1] and broken.slow and "could not be delivered" in caplog.text


async def test_subscribing_and_unsubscribing_count_in_the_revision(channels: ChannelSubscriptions, client: Client) -> None:
    revisions = [client.subscriber.revision]
    for change in (channels.subscribe, channels.unsubscribe, channels.psubscribe, channels.punsubscribe):
        change(client.subscriber, "pub:a")
        revisions.append(client.subscriber.revision)
    channels.unsubscribe(client.subscriber, "pub:a")
    assert revisions == [0, 1, 2, 3, 4] and client.subscriber.revision == 4


# -- Redis away ----------------------------------------------------------------


async def test_clients_are_sent_messages_again_when_redis_is_back(tmp_path: Path, work: WorkQueue) -> None:
    server = RestartingRedis(tmp_path)
    bus = Bus(server.url)
    channels, client, later = ChannelSubscriptions(bus, readable_names("pub:*"), Dispatcher(work)), Client(), Client()
    await bus.start()
    await channels.subscribe(client.subscriber, "pub:a")
    await channels.psubscribe(client.subscriber, "pub:p*")
    server.stop()
    await until(lambda: not bus.connected)
    subscribed = channels.subscribe(later.subscriber, "pub:b")
    server.start()
    assert await subscribed == [True]
    for channel in ("pub:a", "pub:b", "pub:pattern"):
        await bus.publish(channel, b"1")
    await until(lambda: len(client.received) == 2 and later.received)
    assert [frame["source"] for frame in client.received] == ["pub:a", "pub:pattern"]
    await bus.stop()
    server.stop()
