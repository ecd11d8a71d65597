"""Subscribers: what becomes of envelopes while a client does not read, or wants several at once."""

from __future__ import annotations

import asyncio
import json

import pytest

from streaming.dialects.redis_commands.delivery import subscriber_queue, subscribers
from streaming.dialects.redis_commands.envelopes import envelope

from ..clients import Client, until


@pytest.fixture
def client() -> Client:
    return Client()


def envelopes(*contents: object) -> list[bytes]:
    return [envelope("pub:a", json.dumps(content).encode()) for content in contents]


# -- slow readers --------------------------------------------------------------


def test_messages_for_a_slow_client_wait(client: Client) -> None:
    client.sender.take(0)
    client.subscriber.deliver(envelopes(1, 2), {})
    client.subscriber.deliver(envelopes(3), {})
    assert (client.received, client.subscriber.waiting, client.subscriber.delivered) == ([], 3, 0)
    client.sender.take(None)
    assert client.contents == [1, 2, 3]
    assert (client.subscriber.waiting, client.subscriber.delivered, client.subscriber.dropped) == (0, 3, 0)


def test_what_comes_while_others_wait_comes_after_them(client: Client) -> None:
    client.sender.take(0)
    client.subscriber.deliver(envelopes(1), {})
    client.subscriber.outbox.send("between")
    client.subscriber.deliver(envelopes(2), {})
    client.sender.take(None)
    client.subscriber.deliver(envelopes(3), {})
    received = [frame if frame == "between" else json.loads(frame)["content"] for frame in client.sender.told]
    assert received == [1, 2, "between", 3]


def test_of_too_many_that_wait_the_oldest_are_dropped_and_counted() -> None:
    client = Client(limit=3)
    client.sender.take(0)
    for number in range(10):
        client.subscriber.deliver(envelopes(number), {})
    client.sender.take(None)
    assert client.contents == [7, 8, 9] and client.subscriber.dropped == 7


def test_of_too_many_bytes_that_wait_the_oldest_are_dropped(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber_queue, "MAX_WAITING_BYTES", 5000)
    client.sender.take(0)
    client.subscriber.deliver(envelopes(*(f"{number}" + "x" * 2000 for number in range(10))), {})
    assert client.subscriber.outbox.bytes <= 5000
    client.sender.take(None)
    assert [content[0] for content in client.contents] == ["8", "9"]


def test_the_newest_is_kept_however_large(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber_queue, "MAX_WAITING_BYTES", 5000)
    client.sender.take(0)
    client.subscriber.deliver(envelopes("small", "x" * 9000), {})
    client.sender.take(None)
    assert client.contents == ["x" * 9000]


def test_much_that_waited_is_written_piece_by_piece(client: Client) -> None:
    client.sender.take(0)
    client.subscriber.deliver(envelopes(*("x" * 100_000 for _ in range(10))), {})
    client.sender.take(1)
    assert 0 < client.subscriber.waiting < 10 and len(client.received) + client.subscriber.waiting == 10


# -- several at once -----------------------------------------------------------


async def test_a_client_that_wants_several_at_once_is_sent_them_when_there_are_enough(client: Client) -> None:
    client.subscriber.set_buffer(2, 3600)
    client.subscriber.deliver(envelopes(1, 2, 3), {})
    assert [(frame["source"], [one["content"] for one in frame["content"]]) for frame in client.received] == [("buffer", [1, 2])]
    client.subscriber.stop()


async def test_few_are_sent_after_a_while(client: Client) -> None:
    client.subscriber.set_buffer(100, 0.01)
    client.subscriber.deliver(envelopes(1), {})
    client.subscriber.deliver(envelopes(2), {})
    assert client.received == []
    await until(lambda: client.received)
    assert [(one["source"], one["content"]) for one in client.contents[0]] == [("pub:a", 1), ("pub:a", 2)]


async def test_a_client_that_wants_them_one_by_one_again_is_sent_what_was_buffered_first(client: Client) -> None:
    client.subscriber.set_buffer(100, 3600)
    client.subscriber.deliver(envelopes(1), {})
    client.subscriber.set_buffer(0, 0)
    client.subscriber.deliver(envelopes(2), {})
    assert [frame["source"] for frame in client.received] == ["buffer", "pub:a"]


async def test_a_slow_client_that_wants_several_at_once_loses_them_one_by_one() -> None:
    client = Client(limit=3)
    client.subscriber.set_buffer(2, 3600)
    client.sender.take(0)
    client.subscriber.deliver(envelopes(*range(6)), {})
    client.sender.take(None)
    assert [[one["content"] for one in content] for content in client.contents] == [[3, 4, 5]]
    assert client.subscriber.dropped == 3


async def test_a_client_that_left_is_sent_nothing_more(client: Client) -> None:
    client.subscriber.set_buffer(100, 0.1)
    client.subscriber.deliver(envelopes(1), {})
    client.subscriber.stop()
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(0.11, passed.set)  # after the timer, had it been left
    await passed.wait()
    assert client.sender.writes == []


async def test_no_client_can_have_more_bytes_buffered_than_there_is_room_for(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscribers, "MAX_BUFFERED_BYTES", 5000)
    client.subscriber.set_buffer(1000, 3600)
    client.subscriber.deliver(envelopes(*(f"{number}" + "x" * 2000 for number in range(4))), {})
    assert [[one["content"][0] for one in content] for content in client.contents] == [["0", "1", "2"]]
    client.subscriber.deliver(envelopes("4" + "x" * 2000), {})
    assert len(client.received) == 1, "what is buffered anew begins at nothing"
    client.subscriber.stop()


async def test_no_client_can_have_more_buffered_than_there_is_room_for(client: Client) -> None:
    client.subscriber.set_buffer(10**9, 10**6)
    for _ in range(3):
        client.subscriber.deliver(envelopes(*range(700)), {})
    assert len(client.received) == 2
