"""Rooms: who is told, how often a message is encoded for it, and what becomes of it while a client does not read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from streaming.core.limits import OutboxLimits
from streaming.core.outbox import Outbox
from streaming.core.turns import Turns
from streaming.topics import rooms as rooms_module
from streaming.topics.messages import TopicMessage
from streaming.topics.rooms import Member, Rooms, SlowPolicy
from tests.core.doubles import RecordingSender


class Texts:
    """An encoder whose frames are texts; `runs` is what it had to encode."""

    def __init__(self) -> None:
        self.runs: list[list[str]] = []

    def broadcast(self, run: Sequence[TopicMessage]) -> list[Any]:
        self.runs.append([message.event for message in run])
        return [f"{message.topic} {message.event} {message.payload.decode()}" for message in run]

    def push(self, member: Member, message: TopicMessage) -> list[Any]:
        return [f"{member.join_ref} {message.event} {message.payload.decode()}"]


class Broken(Texts):
    def broadcast(self, run: Sequence[TopicMessage]) -> list[Any]:
        raise LookupError


class Policies:
    """A channel of which only the policies are asked for."""

    def __init__(self, **policies: SlowPolicy) -> None:
        self.policies = policies

    def policy(self, event: str) -> SlowPolicy:
        return self.policies.get(event, "close")


class Client:
    """One connection."""

    def __init__(self, encoder: Any, limit: int = 1000) -> None:
        self.encoder = encoder
        self.sender = RecordingSender()
        self.slow: list[str] = []
        self.outbox = Outbox(self.sender, OutboxLimits(events=limit), self.slow.append)

    def member(self, name: str, topic: str = "t", **policies: SlowPolicy) -> Member:
        return Member(name, topic, self.outbox, self.encoder, "1", Policies(**policies))  # type: ignore[arg-type]

    @property
    def told(self) -> list[Any]:
        return self.sender.told


def said(*events: str, topic: str = "t", without: str | None = None) -> list[TopicMessage]:
    return [TopicMessage(topic, event, b"%d" % number, without=without) for number, event in enumerate(events)]


@pytest.fixture
def texts() -> Texts:
    return Texts()


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


def enter(rooms: Rooms, client: Client, name: str = "m", topic: str = "t", **policies: SlowPolicy) -> Member:
    member = client.member(name, topic, **policies)
    rooms.add(member)
    return member


# -- who is told ---------------------------------------------------------------


def test_members_of_the_topic_are_told_in_order(rooms: Rooms, texts: Texts) -> None:
    here, elsewhere = Client(texts), Client(texts)
    enter(rooms, here)
    enter(rooms, elsewhere, topic="other")
    rooms.deliver([*said("a"), *said("b", topic="other"), *said("c"), *said("d", topic="nobody's")])
    assert here.told == ["t a 0", "t c 0"]
    assert elsewhere.told == ["other b 0"]


def test_who_left_is_told_nothing_more(rooms: Rooms, texts: Texts) -> None:
    client = Client(texts)
    member = enter(rooms, client)
    rooms.remove(member)
    rooms.remove(member)
    rooms.deliver(said("a"))
    assert client.told == [] and member.topic == "t"


def test_a_message_may_leave_one_member_out(rooms: Rooms, texts: Texts) -> None:
    clients = [Client(texts), Client(texts)]
    for number, client in enumerate(clients):
        enter(rooms, client, str(number))
    rooms.deliver([*said("a"), *said("b", without="0"), *said("c")])
    assert [client.told for client in clients] == [["t a 0", "t c 0"], ["t a 0", "t b 0", "t c 0"]]


def test_a_member_that_left_out_of_everything_hears_nothing(rooms: Rooms, texts: Texts) -> None:
    client = Client(texts)
    enter(rooms, client)
    rooms.deliver(said("a", "b", without="m"))
    assert client.told == [] and client.sender.writes == []


def test_one_client_may_be_on_a_topic_twice(rooms: Rooms, texts: Texts) -> None:
    client = Client(texts)
    first, _ = enter(rooms, client, "first"), enter(rooms, client, "second")
    rooms.deliver(said("a"))
    rooms.remove(first)
    rooms.deliver(said("b"))
    assert client.told == ["t a 0", "t a 0", "t b 0"]


def test_who_comes_or_goes_while_others_are_told_is_no_trouble(rooms: Rooms, texts: Texts) -> None:
    client = Client(texts)
    members = [enter(rooms, client, str(number)) for number in range(3)]
    client.sender.write = lambda frames: [rooms.remove(member) for member in members]  # type: ignore[assignment]
    rooms.deliver(said("a"))
    assert rooms.rooms == {}


# -- rooms ---------------------------------------------------------------------


def test_a_room_is_there_while_it_has_members(rooms: Rooms, texts: Texts) -> None:
    first, second = enter(rooms, Client(texts), "1"), enter(rooms, Client(texts), "2")
    assert rooms.get("t") is first.room is second.room
    rooms.remove(first)
    assert rooms.get("t") is second.room is not None
    rooms.remove(second)
    assert rooms.get("t") is None


def test_members_are_found_by_their_id(rooms: Rooms, texts: Texts) -> None:
    member = enter(rooms, Client(texts), "id", topic="a")
    enter(rooms, Client(texts), "other", topic="b")
    assert rooms.member("id") is member and rooms.member("nobody") is None


def test_rooms_count_what_was_said_and_delivered(rooms: Rooms, texts: Texts) -> None:
    enter(rooms, Client(texts), "1")
    room = enter(rooms, Client(texts), "2").room
    rooms.deliver(said("a", "b"))
    assert room is not None and (room.published, room.delivered, room.dropped) == (2, 4, 0)


# -- encoding ------------------------------------------------------------------


def test_a_run_is_encoded_once_for_all_that_speak_alike(rooms: Rooms, texts: Texts) -> None:
    others = Texts()
    for number in range(100):
        enter(rooms, Client(texts if number % 2 else others), str(number))
    rooms.deliver(said("a", "b"))
    assert texts.runs == others.runs == [["a", "b"]]


def test_a_run_is_written_in_one_piece(rooms: Rooms, texts: Texts) -> None:
    client = Client(texts)
    enter(rooms, client)
    rooms.deliver(said(*"abc"))
    assert len(client.sender.writes) == 1


def test_a_client_that_cannot_be_told_is_given_up_and_the_others_are_told(rooms: Rooms, texts: Texts) -> None:
    broken, fine = Client(Broken()), Client(texts)
    enter(rooms, broken, "1")
    enter(rooms, fine, "2")
    rooms.deliver(said("a"))
    assert broken.slow and not fine.slow and fine.told == ["t a 0"]


# -- slow clients --------------------------------------------------------------


def blocked(texts: Texts, limit: int = 1000) -> Client:
    client = Client(texts, limit)
    client.sender.take(0)
    return client


def test_what_a_busy_socket_does_not_take_waits(rooms: Rooms, texts: Texts) -> None:
    client = blocked(texts)
    member = enter(rooms, client)
    rooms.deliver(said("a", "b"))
    rooms.deliver(said("c"))
    assert client.told == [] and len(member.queue) == client.outbox.messages == 3
    client.sender.take(None)
    assert client.told == ["t a 0", "t b 1", "t c 0"] and (len(member.queue), member.queue.size) == (0, 0)


def test_what_waits_is_not_encoded_yet(rooms: Rooms, texts: Texts) -> None:
    enter(rooms, blocked(texts))
    rooms.deliver(said("a"))
    assert texts.runs == []


def test_a_slow_client_keeps_no_other_waiting(rooms: Rooms, texts: Texts) -> None:
    enter(rooms, blocked(texts), "slow")
    quick = Client(texts)
    enter(rooms, quick, "quick")
    rooms.deliver(said("a"))
    assert quick.told == ["t a 0"]


def test_the_oldest_of_an_event_are_dropped(rooms: Rooms, texts: Texts) -> None:
    client = blocked(texts, limit=3)
    member = enter(rooms, client, a="drop")
    rooms.deliver(said("b", *"aaaa"))
    room = member.room
    assert room is not None and (member.queue.dropped, room.dropped) == (2, 2)
    client.sender.take(None)
    assert client.told == ["t b 0", "t a 3", "t a 4"]


def test_the_latest_of_an_event_is_kept(rooms: Rooms, texts: Texts) -> None:
    client = blocked(texts)
    member = enter(rooms, client, a="latest", b="latest")
    rooms.deliver(said(*"abcab"))
    assert member.queue.dropped == 2
    client.sender.take(None)
    assert client.told == ["t c 2", "t a 3", "t b 4"]


def test_sizes_add_up_whatever_is_dropped(rooms: Rooms, texts: Texts) -> None:
    client = blocked(texts, limit=4)
    member = enter(rooms, client, a="latest", b="drop")
    for _ in range(10):
        rooms.deliver(said(*"abcba"))
    waiting = list(member.queue._waiting)
    assert member.queue.size == sum(100 + len(message.payload) for message in waiting)
    assert member.queue.dropped + len(waiting) == 50


@pytest.mark.parametrize("event", ["presence_state", "presence_diff"])
def test_presence_is_never_dropped(rooms: Rooms, texts: Texts, event: str) -> None:
    client = blocked(texts, limit=1)
    member = enter(rooms, client, **{event: "drop"})
    rooms.deliver(said(event, event, event))
    assert (len(member.queue), member.queue.dropped) == (3, 0)


def test_what_waits_for_one_topic_goes_with_it(rooms: Rooms, texts: Texts) -> None:
    client = blocked(texts)
    gone = enter(rooms, client, "1")
    enter(rooms, client, "2", topic="other")
    rooms.deliver([*said("a"), *said("b", topic="other")])
    rooms.remove(gone)
    client.sender.take(None)
    assert client.told == ["other b 0"]


def test_a_push_comes_behind_what_waits(rooms: Rooms, texts: Texts) -> None:
    client = blocked(texts)
    member = enter(rooms, client)
    rooms.deliver(said("a"))
    member.push("b", b"{}")
    client.sender.take(None)
    assert client.told == ["t a 0", "1 b {}"]


def test_a_broadcast_comes_behind_a_push_that_waits(rooms: Rooms, texts: Texts) -> None:
    client = blocked(texts)
    member = enter(rooms, client)
    rooms.deliver(said("a"))
    member.push("b", b"{}")
    rooms.deliver(said("c"))
    client.sender.take(None)
    assert client.told == ["t a 0", "1 b {}", "t c 0"]


def test_a_push_is_never_dropped(rooms: Rooms, texts: Texts) -> None:
    client = blocked(texts, limit=4)
    member = enter(rooms, client, a="latest", b="drop")
    rooms.deliver(said("a"))
    for event in ("a", "b"):
        member.push(event, b"{}")
    rooms.deliver(said("a", "b", "b"))
    client.sender.take(None)
    assert client.told == ["1 a {}", "1 b {}", "t a 0", "t b 2"]


def test_a_long_queue_is_written_in_pieces(rooms: Rooms, texts: Texts) -> None:
    client = blocked(texts)
    enter(rooms, client)
    rooms.deliver([TopicMessage("t", "a", b"x" * 100_000) for _ in range(10)])
    client.sender.take(1)
    assert 0 < len(client.told) < 10
    client.sender.take(None)
    assert len(client.told) == 10


# -- many members --------------------------------------------------------------


@pytest.fixture
def smallest_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece is one member."""
    monkeypatch.setattr(rooms_module, "PIECE_SECONDS", -1.0)


def test_some_members_are_sent_to_at_a_time(rooms: Rooms, texts: Texts, smallest_pieces: None) -> None:
    clients = [Client(texts) for _ in range(4)]
    for number, client in enumerate(clients):
        enter(rooms, client, str(number))
    served = [sum(bool(client.told) for client in clients) for _ in rooms.pieces(said("a", "b"))]
    assert served == [1, 2, 3]
    assert all(client.told == ["t a 0", "t b 1"] for client in clients)


def test_who_joins_or_leaves_meanwhile_is_sent_what_it_should_be(rooms: Rooms, texts: Texts, smallest_pieces: None) -> None:
    clients = [Client(texts) for _ in range(4)]
    members = [enter(rooms, client, str(number)) for number, client in enumerate(clients[:3])]
    pieces = rooms.pieces(said("a"))
    next(pieces)
    enter(rooms, clients[3], "3")
    rooms.remove(members[2])
    list(pieces)
    assert [client.told for client in clients] == [["t a 0"], ["t a 0"], [], []]


def test_what_is_pushed_to_one_member_comes_behind_what_waits_for_it(rooms: Rooms, texts: Texts, smallest_pieces: None) -> None:
    clients = [Client(texts) for _ in range(3)]
    members = [enter(rooms, client, str(number)) for number, client in enumerate(clients)]
    pieces = rooms.pieces(said("a"))
    next(pieces)
    members[2].push("b", b"1")
    list(pieces)
    assert [[text.split()[1] for text in client.told] for client in clients] == [["a"], ["a"], ["a", "b"]]


async def test_messages_stay_in_order_whoever_delivers_them(texts: Texts, smallest_pieces: None) -> None:
    turns = Turns()
    rooms = Rooms(turns)
    clients = [Client(texts) for _ in range(5)]
    for number, client in enumerate(clients):
        enter(rooms, client, str(number))
        enter(rooms, client, str(number), topic="other")
    rooms.deliver([*said("a"), *said("a", topic="other")])
    pieces = rooms.pieces([*said("b", topic="other"), *said("b")])
    next(pieces)
    rooms.deliver(said("c"))
    list(pieces)
    while len(turns):
        await asyncio.sleep(0)
    for client in clients:
        for topic, told in (("t", ["a", "b", "c"]), ("other", ["a", "b"])):
            assert [text.split()[1] for text in client.told if text.startswith(f"{topic} ")] == told
