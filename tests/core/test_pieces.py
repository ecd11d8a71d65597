"""A slice of the log is judged and delivered in pieces: whatever happens between two of them, nothing is lost, doubled or out of order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from streaming.core import follower as follower_module
from streaming.core import hub as hub_module
from streaming.core import replica as replica_module
from streaming.core import tail as tail_module
from streaming.core.deliveries import LogQueue
from streaming.core.feed import Cursor, Feed, FeedState, LogEntry
from streaming.core.filters import FilterSpec, compile_filter
from streaming.core.follower import Follower
from streaming.core.hub import Hub
from streaming.core.limits import OutboxLimits
from streaming.core.loop_watch import LoopWatch
from streaming.core.outbox import Outbox
from streaming.core.replica import Replica
from streaming.core.tail import Tail
from streaming.core.turns import Turns
from streaming.core.view import View

from .doubles import OneProcessLayer, RecordingEncoder, RecordingSender

VALUE = b'0000000000000{"geometry":null,"properties":{"n":%d},"type":"Feature"}'
EVERYTHING = compile_filter(FilterSpec())
SMALL, LARGE = compile_filter(FilterSpec(filter="n < 5")), compile_filter(FilterSpec(filter="n >= 5"))


@pytest.fixture(autouse=True)
def smallest_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece is one change, or one view."""
    for module in (follower_module, replica_module, tail_module):
        monkeypatch.setattr(module, "PIECE_SECONDS", -1.0)


def empty() -> FeedState:
    return FeedState(Cursor("e", 0), {})


def entries(*keys: str, start: int = 1) -> list[LogEntry]:
    """Each of another key."""
    return [LogEntry(number, key, None, VALUE % number, None) for number, key in enumerate(keys, start)]


def view_of(follower: Follower, condition: Any = EVERYTHING, events: bool = False) -> tuple[View, RecordingSender]:
    sender, encoder = RecordingSender(), RecordingEncoder()
    outbox = Outbox(sender, OutboxLimits(), lambda why: pytest.fail(why))
    view = View(outbox, encoder, condition, queue=LogQueue(encoder, 100) if events else None)
    follower.join(view)
    return view, sender


def told(sender: RecordingSender) -> list[str]:
    return [f"{one.kind} {one.key}" for one in sender.told]


def do(pieces: Iterator[None], count: int) -> None:
    for _ in range(count):
        next(pieces)


def test_a_view_at_a_time_is_delivered_to_and_each_in_one_write() -> None:
    replica = Replica(Feed("f"), empty())
    senders = [view_of(replica)[1] for _ in range(3)]
    served = []
    for _ in replica.pieces(entries("a", "b")):
        served.append(sum(bool(sender.writes) for sender in senders))
    assert sorted({*served}) == [0, 1, 2, 3]
    assert all(len(sender.writes) == 1 and told(sender) == ["added a", "added b"] for sender in senders)


def test_what_all_share_is_still_encoded_once() -> None:
    replica, encoder = Replica(Feed("f"), empty()), RecordingEncoder()
    for _ in range(3):
        replica.join(View(Outbox(RecordingSender(), OutboxLimits(), pytest.fail), encoder, EVERYTHING))
    replica.apply(entries("a", "b"))
    assert encoder.calls == 1


def test_who_joins_while_changes_are_judged_receives_what_comes_after_its_snapshot() -> None:
    replica = Replica(Feed("f"), empty())
    _, before = view_of(replica)
    pieces = replica.pieces(entries("a", "b", "c"))
    do(pieces, 2)
    assert [delivery.key for delivery in replica.snapshot(EVERYTHING)] == ["a", "b"]
    _, after = view_of(replica)
    list(pieces)
    assert told(before) == ["added a", "added b", "added c"] and told(after) == ["added c"]


def test_who_joins_while_others_are_delivered_to_receives_nothing_twice() -> None:
    replica = Replica(Feed("f"), empty())
    senders = [view_of(replica)[1] for _ in range(2)]
    pieces = replica.pieces(entries("a", "b"))
    while not any(told(sender) for sender in senders):
        next(pieces)
    assert len(replica.snapshot(EVERYTHING)) == 2
    _, late = view_of(replica)
    list(pieces)
    assert told(late) == [] and all(told(sender) == ["added a", "added b"] for sender in senders)


@pytest.mark.parametrize("count", range(5))
@pytest.mark.parametrize("first", [True, False])
def test_who_leaves_receives_nothing_any_more_and_the_others_everything(count: int, first: bool) -> None:
    replica = Replica(Feed("f"), empty())
    (leaving, left), (_, staying) = [view_of(replica) for _ in range(2)][:: 1 if first else -1]
    pieces = replica.pieces(entries("a", "b"))
    do(pieces, count)
    received = told(left)
    leaving.leave()
    list(pieces)
    assert told(left) == received and told(staying) == ["added a", "added b"]


@pytest.mark.parametrize("count", range(5))
def test_what_was_found_comes_before_what_is_put_behind_it(count: int) -> None:
    replica = Replica(Feed("f"), empty())
    (moving, sender), _ = view_of(replica, SMALL), view_of(replica, SMALL)
    pieces = replica.pieces(entries("a", "b"))
    do(pieces, count)
    moving.seal()
    deliveries = replica.difference(SMALL, LARGE)
    replica.leave(moving)
    moving.reshape(moving.encoder, LARGE, None)
    replica.join(moving)
    moving.bulk(deliveries)
    list(pieces)
    taken = min(count, 2)
    keys = ["a", "b"][:taken]
    assert told(sender) == [f"{kind} {key}" for kind in ("added", "deleted") for key in keys]


@pytest.mark.parametrize("count", range(5))
def test_what_is_taken_back_from_a_client_is_what_it_has_received(count: int) -> None:
    replica = Replica(Feed("f"), empty())
    _, (view, sender) = view_of(replica), view_of(replica)
    pieces = replica.pieces(entries("a", "b"))
    do(pieces, count)
    held = replica.unjudged(view)
    view.leave()
    view.bulk(list(replica.select(None, EVERYTHING, held=held).run()))
    list(pieces)
    keys = ["a", "b"][: min(count, 2)]
    assert told(sender) == [f"{kind} {key}" for kind in ("added", "deleted") for key in keys]


@pytest.mark.parametrize("count", range(4))
def test_a_cursor_promises_no_more_than_what_was_delivered(count: int) -> None:
    replica = Replica(Feed("f"), empty())
    views = [view_of(replica) for _ in range(2)]
    pieces = replica.pieces(entries("a", "b"))
    do(pieces, count)
    for view, sender in views:
        assert view.cursor == (f"e:{len(told(sender))}" if count else "e:0")


def test_a_slow_client_does_not_hold_the_others() -> None:
    replica = Replica(Feed("f"), empty())
    (_, slow), (_, quick) = view_of(replica), view_of(replica)
    slow.take(0)
    replica.apply(entries("a"))
    replica.apply(entries("b", start=2))
    assert told(quick) == ["added a", "added b"] and told(slow) == []
    slow.take(None)
    assert told(slow) == ["added a", "added b"]


def test_lines_of_a_log_are_delivered_once_each_whoever_joins_and_leaves() -> None:
    tail = Tail(Feed("events"), empty())
    (leaving, _), (_, staying) = view_of(tail, events=True), view_of(tail, events=True)
    pieces = tail.pieces(entries("", "", ""))
    do(pieces, 2)
    _, late = view_of(tail, events=True)
    leaving.leave()
    list(pieces)
    assert told(staying) == ["event 1", "event 2", "event 3"] and told(late) == ["event 3"]


def test_the_count_of_lost_lines_comes_once_and_in_its_place() -> None:
    tail = Tail(Feed("events"), empty())
    senders = [view_of(tail, events=True)[1] for _ in range(3)]
    tail.apply(entries("", ""))
    pieces = tail.replacing(FeedState(Cursor("e", 10), {}))
    next(pieces)
    _, late = view_of(tail, events=True)
    list(pieces)
    tail.apply(entries("", start=11))
    for sender in senders:
        assert [getattr(one, "key", one) for one in sender.told] == ["1", "2", "gap 8", "11"]
    assert told(late) == ["event 11"]


@pytest.mark.parametrize("turns", [None, Turns()])
async def test_a_whole_new_state_reaches_everybody_once(turns: Turns | None) -> None:
    """Also those that join, leave or move while the others are sent what is different."""
    replica = Replica(Feed("f"), empty())
    replica.turns = turns
    first, leaving, moving, last = (view_of(replica, SMALL) for _ in range(4))
    replica.apply(entries("a"))
    state = FeedState(Cursor("e", 500), {b"%d" % number: VALUE % (number % 10) for number in range(400)})
    pieces = replica.replacing(state)
    next(pieces)
    _, late = view_of(replica, SMALL)
    leaving[0].leave()
    moving[0].seal()
    assert moving[0].cursor == first[0].cursor == "e:500"
    assert last[0].cursor == "e:0", "which no replica reaches"
    list(pieces)
    while turns is not None and len(turns):
        await asyncio.sleep(0)
    for _, sender in (first, moving, last):
        assert len(sender.told) == 1 + 1 + 200 and sender.told[1].kind == "deleted"
        assert sender.told[-1].cursor == "e:500"
    assert told(late) == []


# -- the hub ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def hub(redis: None) -> Any:
    layer = OneProcessLayer()
    hub = Hub(lambda: layer)
    await hub.start()
    yield hub
    await hub.stop()


async def test_others_have_their_turn_between_two_pieces(hub: Hub) -> None:
    feed = Feed("layer:pieces")
    replica = await hub.replica(feed)
    senders = [view_of(replica)[1] for _ in range(20)]
    seen = set()

    async def look() -> None:
        while len(seen) < 20:
            seen.add(sum(bool(sender.writes) for sender in senders))
            await asyncio.sleep(0)

    async with asyncio.timeout(5):
        looking = asyncio.create_task(look())
        await feed.put([("a", VALUE[13:] % 1)])
        await looking
    assert all(told(sender) == ["added a"] for sender in senders)


async def test_what_was_taken_is_delivered_although_who_asked_for_it_is_gone(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "SLICE", 2)
    feed = Feed("layer:pieces")
    replica = await hub.replica(feed)
    senders = [view_of(replica)[1] for _ in range(5)]
    await hub._pulling.acquire()
    asking = asyncio.create_task(hub.refresh(replica))
    await asyncio.sleep(0)
    await feed.put([(key, VALUE[13:] % 1) for key in "abcdef"])
    hub._pulling.release()
    async with asyncio.timeout(5):
        while not any(map(told, senders)):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        assert all(told(sender) == ["added a", "added b"] for sender in senders)
        while any(len(told(sender)) < 6 for sender in senders):
            await asyncio.sleep(0.001)
    assert all(told(sender) == [f"added {key}" for key in "abcdef"] for sender in senders)
    assert replica.past_epochs == set() and replica.last is not None and replica.last.seq == 6


def test_each_piece_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.5, 1.0, 1.001, 2.0, 2.25])
    monkeypatch.setattr("streaming.core.loop_watch.perf_counter", lambda: next(clock))
    watch = LoopWatch()
    assert list(watch.pieces(iter([None, None]), "hub", "changes")) == [None, None]
    assert watch.count["hub", "changes"] == 2 and watch.seconds["hub", "changes"] == 0.75
