"""Policies: what becomes of what waits for a slow client, by channel."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from streaming.dialects.redis_commands.delivery import subscriber_queue
from streaming.dialects.redis_commands.delivery.messages import ChannelMessage
from streaming.dialects.redis_commands.delivery.policies import conflation_key, slow_client_policies, slow_client_policy
from streaming.dialects.redis_commands.geojson.client_filters import ClientFilters
from streaming.dialects.redis_commands.geojson.values import Value

from ..clients import Client
from ..documents import collection, geometry


@pytest.fixture(autouse=True)
def slow(settings: Settings) -> None:
    settings.GEOSTREAM_REDIS_SLOW = "pub:positions*=latest, pub:alarms=close"


@pytest.fixture
def client() -> Client:
    """It reads nothing until the test lets it."""
    client = Client(limit=3)
    client.sender.take(0)
    return client


def message(channel: str, document: Any, reference: str | None = None) -> bytes:
    return ChannelMessage(channel, Value(json.dumps(document).encode())).envelope(ClientFilters(), reference)


def position(number: int, x: float, **members: Any) -> dict[str, Any]:
    return {"type": "Feature", "id": number, "geometry": geometry("Point", [x, 0]), "properties": {}, **members}


def move(client: Client, number: int, x: float, channel: str = "pub:positions", **members: Any) -> None:
    client.subscriber.deliver([message(channel, position(number, x, **members))], {})


def places(client: Client) -> list[tuple[int, float]]:
    """What it is sent once it reads."""
    client.sender.take(None)
    return [(content["id"], content["geometry"]["coordinates"][0]) for content in client.contents]


# -- the setting ---------------------------------------------------------------


def test_without_a_setting_the_oldest_are_dropped() -> None:
    assert slow_client_policy("", "pub:positions") == "drop"


@pytest.mark.parametrize(
    ("name", "policy"),
    [("pub:a", "latest"), ("pub:a:b", "close"), ("pub:a:b:c", "close"), ("pub:a:x", "drop"), ("pub", "drop"), ("pub:*", "latest")],
)
def test_a_name_counts_more_than_the_longest_beginning_that_fits(name: str, policy: str) -> None:
    assert slow_client_policy("pub:*=latest,pub:a:*=close, pub:a:x = drop", name) == policy


@pytest.mark.parametrize("setting", ["pub:a", "pub:a=", "=latest", "pub:a=newest", "pub:a=latest,pub:b"])
def test_a_setting_that_cannot_be_read_is_refused(setting: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="GEOSTREAM_REDIS_SLOW"):
        slow_client_policies(setting)


# -- what a message is about ---------------------------------------------------


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (position(7, 0), 7),
        (position(7, 0, id="7"), "7"),
        (position(7, 0, id=None, properties={"id": "a"}), "a"),
        (position(7, 0, id=0, properties={"id": "a"}), 0),
        (position(7, 0, id=None), None),
        (position(7, 0, id=None, properties=None), None),
        (position(7, 0, id=True), None),
        (position(7, 0, id=[7]), None),
        (collection(position(7, 0), id=7), None),
        ({"id": 7}, None),
        ([7], None),
        (7, None),
    ],
)
def test_a_message_is_about_the_feature_whose_id_it_has(document: Any, found: Any) -> None:
    assert conflation_key("pub:a", Value(json.dumps(document).encode()).members).id == found


# -- latest --------------------------------------------------------------------


def test_of_a_feature_only_the_newest_waits(client: Client) -> None:
    for x in range(10):
        move(client, 1, x)
    move(client, 2, 0)
    assert (client.subscriber.waiting, client.subscriber.conflated, client.subscriber.dropped) == (2, 9, 0)
    assert places(client) == [(1, 9), (2, 0)]


def test_of_the_features_of_one_turn_too(client: Client) -> None:
    client.subscriber.deliver([message("pub:positions", position(number, x)) for x in range(5) for number in (1, 2)], {})
    assert places(client) == [(1, 4), (2, 4)]


def test_bytes_are_counted_of_what_waits_only(client: Client) -> None:
    move(client, 1, 0, properties={"note": "x" * 500})
    move(client, 1, 1)
    once = client.subscriber.outbox.bytes
    move(client, 1, 2)
    assert 0 < client.subscriber.outbox.bytes == once < 500
    places(client)
    assert client.subscriber.outbox.bytes == 0


def test_a_feature_of_another_channel_is_another_one(client: Client) -> None:
    move(client, 1, 0)
    move(client, 1, 1, "pub:positions:other")
    assert places(client) == [(1, 0), (1, 1)]


def test_a_feature_with_the_same_digits_as_text_is_another_one(client: Client) -> None:
    move(client, 1, 0)
    move(client, 1, 1, id="1")
    assert client.subscriber.waiting == 2


def test_channels_without_a_policy_wait_as_they_came(client: Client) -> None:
    move(client, 1, 0, "pub:a")
    move(client, 1, 1, "pub:a")
    assert places(client) == [(1, 0), (1, 1)] and client.subscriber.conflated == 0


def test_a_feature_that_changes_often_keeps_its_place(client: Client) -> None:
    move(client, 1, 0)
    move(client, 2, 0)
    move(client, 1, 1)
    assert places(client) == [(1, 1), (2, 0)]


def test_it_comes_after_a_message_without_an_id_that_came_since(client: Client) -> None:
    move(client, 1, 0)
    client.subscriber.deliver([message("pub:positions", collection(position(1, 5)))], {})
    move(client, 1, 9)
    client.sender.take(None)
    assert [content["type"] for content in client.contents] == ["FeatureCollection", "Feature"]


def test_messages_without_an_id_are_kept_and_the_oldest_dropped(client: Client) -> None:
    for number in range(5):
        client.subscriber.deliver([message("pub:positions", number)], {})
    client.sender.take(None)
    assert client.contents == [2, 3, 4]
    assert (client.subscriber.conflated, client.subscriber.dropped) == (0, 2)


def test_of_too_many_features_the_oldest_is_dropped_and_may_come_again(client: Client) -> None:
    for number in range(5):
        move(client, number, 0)
    move(client, 0, 1)
    assert (client.subscriber.conflated, client.subscriber.dropped) == (0, 3)
    assert places(client) == [(3, 0), (4, 0), (0, 1)]


def test_the_newest_is_kept_though_it_became_too_large(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber_queue, "MAX_WAITING_BYTES", 2000)
    move(client, 1, 0)
    move(client, 2, 0)
    move(client, 1, 1, properties={"note": "x" * 3000})
    assert places(client) == [(1, 1)]


def test_what_was_sent_is_not_waiting_any_more(client: Client) -> None:
    move(client, 1, 0)
    client.sender.take(1)
    move(client, 1, 1)
    assert client.subscriber.conflated == 0
    assert places(client) == [(1, 0), (1, 1)]


async def test_several_at_once_are_the_newest_too(client: Client) -> None:
    client.subscriber.set_buffer(2, 3600)
    for x in range(4):
        move(client, 1, x)
    client.sender.take(None)
    assert [[one["content"]["geometry"]["coordinates"][0] for one in content] for content in client.contents] == [[3]]


def test_references_are_sent(client: Client) -> None:
    client.subscriber.deliver([message("pub:positions", position(1, x), "mine") for x in (0, 1)], {})
    client.sender.take(None)
    assert [frame["client_reference"] for frame in client.received] == ["mine"]


def test_a_client_that_reads_is_sent_everything(client: Client) -> None:
    client.sender.take(None)
    for x in range(3):
        move(client, 1, x)
    assert places(client) == [(1, 0), (1, 1), (1, 2)]


# -- close ---------------------------------------------------------------------


def alarm(client: Client, *numbers: int) -> None:
    client.subscriber.deliver([message("pub:alarms", number) for number in numbers], {})


def test_a_client_may_be_slow_as_long_as_it_misses_no_alarm(client: Client) -> None:
    alarm(client, 1, 2, 3)
    assert client.slow == []
    client.sender.take(None)
    assert client.contents == [1, 2, 3]


def test_a_client_that_would_miss_an_alarm_is_closed(client: Client) -> None:
    alarm(client, 1, 2, 3, 4, 5)
    assert len(client.slow) == 1 and "reconnect" in client.slow[0]


def test_after_that_it_is_sent_nothing_more(client: Client) -> None:
    alarm(client, 1, 2, 3, 4)
    alarm(client, 5)
    client.subscriber.set_buffer(0, 0)
    client.sender.take(None)
    alarm(client, 6)
    assert client.received == [] and client.subscriber.waiting == 0 and len(client.slow) == 1


def test_other_channels_may_drop_beside_it(client: Client) -> None:
    client.subscriber.deliver([message("pub:a", number) for number in range(5)], {})
    alarm(client, 1, 2)
    assert (client.slow, client.subscriber.dropped) == ([], 4)


def test_an_alarm_pushed_out_by_other_channels_closes_the_client_too(client: Client) -> None:
    alarm(client, 1)
    client.subscriber.deliver([message("pub:a", number) for number in range(3)], {})
    assert len(client.slow) == 1


async def test_a_client_that_wants_several_at_once_is_closed_too(client: Client) -> None:
    client.subscriber.set_buffer(2, 3600)
    alarm(client, *range(6))
    assert len(client.slow) == 1
    client.sender.take(None)
    alarm(client, *range(6))
    assert client.received == []
