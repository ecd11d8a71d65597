"""Snapshots, moves and resumes that take long: while they are found out and read by a slow socket, items come, move and go.

Slices of the log are taken in the smallest pieces there are (a change, a view), and so is a whole new state: clients join, move and leave
between any two of them. Whatever happens meanwhile, in whichever order the steps are taken, a client's picture is in the end what there
is; each message is of the kind that fits what the client holds (so no deletion comes before its addition), exactly as many as were
announced belong to a snapshot, and a cursor promises no more than what has arrived.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streaming.core import follower, places, replica
from streaming.core.deliveries import Delivery, Frames
from streaming.core.feed import Cursor, Feed, FeedOptions, FeedState, LogEntry
from streaming.core.filters import Filter, FilterSpec, compile_filter
from streaming.core.limits import OutboxLimits
from streaming.core.outbox import Outbox
from streaming.core.replica import Replica
from streaming.core.selection import Selection
from streaming.core.turns import Pace, Step, Turns
from streaming.core.view import View
from tests.profiles import examples

from .doubles import RecordingSender

KEYS = "abcdef"
SPECS = [
    FilterSpec(),
    FilterSpec(bbox=[0, 0, 10, 10]),
    FilterSpec(bbox=[5, 0, 20, 10]),
    FilterSpec(filter="n < 3"),
    FilterSpec(filter="n > 1", bbox=[0, 0, 12, 10]),
]


def stored(lon: int, n: int) -> bytes:
    feature = {"geometry": {"type": "Point", "coordinates": [lon, 1]}, "properties": {"n": n}, "type": "Feature"}
    return b"%013d" % 1 + msgspec.json.encode(feature)


class StepByStep(Turns):
    """Turns that are only taken when the test says so."""

    def __init__(self) -> None:
        self.steps: deque[Step] = deque()

    def add(self, owner: Hashable, step: Step, work: str = "") -> None:
        self.steps.append(step)

    def take(self, count: int) -> None:
        for _ in range(count):
            if self.steps:
                step = self.steps.popleft()
                if step():
                    self.steps.append(step)


class Encoder:
    """Frames are what a client is sent: kind, key, value and cursor."""

    def frames(self, deliveries: Sequence[Delivery], gap: int = 0) -> list[Any]:
        return [(one.kind, one.key, one.item and one.item.value, one.cursor) for one in deliveries]


class Client:
    """One subscription on a slow socket, and what its client holds."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.held: dict[str, bytes] = {}
        self.cursor: str | None = None
        self.connect()

    def connect(self) -> None:
        self.sender = RecordingSender()
        self.sender.take(0)
        limits = OutboxLimits(write_bytes=1)
        self.outbox = Outbox(self.sender, limits, self.given_up, self.world.turns)
        self.read = 0
        self.outstanding = 0
        self.moves = 0  # that are not answered: until then its cursors belong to another filter
        self.promised: str | None = None
        self.view: View | None = None

    def given_up(self, why: str) -> None:
        raise AssertionError(why)

    def subscribe(self, condition: Filter, resume: bool) -> None:
        if self.view is not None:
            return
        replica = self.world.replica
        self.view = View(self.outbox, Encoder(), condition, lane="s")
        missed = replica.select_missed(condition, Cursor.parse(self.cursor)) if resume and self.cursor else None
        self.resumes = missed is not None
        place = self.outbox.reserve("s")
        selection: Selection = replica.select(condition) if missed is None else missed
        replica.join(self.view)
        self.select(place, selection, "subscribed")

    def move(self, condition: Filter, redraw: bool) -> None:
        view, replica = self.view, self.world.replica
        if view is None:
            return
        self.cursor, self.resumes = None, False
        self.moves += 1
        view.seal()
        place = self.outbox.reserve("s")
        selection = replica.select(condition, view.filter, redraw, replica.unjudged(view))
        replica.leave(view)
        view.reshape(Encoder(), condition, None)
        replica.join(view)
        self.select(place, selection, "moved")

    def select(self, place: Any, selection: Selection, answer: str) -> None:
        """Find out what is to be sent, an item at a time, then announce it."""
        selection._pace = Pace(1, 1, 1)
        view, cursor, resumes = self.view, self.view and self.view.cursor, self.resumes
        assert view is not None

        def step() -> bool:
            more = selection.step()
            if not more and view is self.view:
                ack = Frames([("ack", answer, len(selection), cursor, resumes)])
                self.outbox.fill(place, [ack, view.bulk_of(selection)])
            return more

        self.world.turns.add(self, step)

    def hang_up(self) -> None:
        if self.view is not None:
            self.view.leave()
        self.connect()

    def receive(self) -> None:
        told = self.sender.told[self.read :]
        self.read += len(told)
        for frame in told:
            if frame[0] == "ack":
                self.acknowledged(*frame[1:])
            else:
                self.told(*frame)

    def acknowledged(self, answer: str, count: int, cursor: str, resumes: bool) -> None:
        assert self.outstanding == 0, "an answer between the parts of a snapshot"
        self.moves -= answer == "moved"
        self.outstanding, self.promised, self.resuming = count, cursor, resumes
        self.settle()

    def settle(self) -> None:
        if self.outstanding == 0 and self.promised is not None:
            self.believe(self.promised)
            self.promised, self.resuming = None, False

    def believe(self, cursor: str | None) -> None:
        if cursor is not None and not self.moves:
            self.cursor = cursor

    def told(self, kind: str, key: str, value: bytes | None, cursor: str | None) -> None:
        if not (self.promised and self.resuming):
            assert (key in self.held) == (kind != "added"), (kind, key)
        if value is None:
            self.held.pop(key, None)
        else:
            self.held[key] = value
        if self.promised is not None:
            assert (cursor is not None) == (self.outstanding == 1)
            self.outstanding -= 1
        self.believe(cursor)
        self.settle()


class World:
    """One replica, two clients, and what can happen to them."""

    def __init__(self) -> None:
        self.turns = StepByStep()
        self.replica = Replica(Feed("f", FeedOptions(log_length=30)), FeedState(Cursor("e", 0), {}))
        self.replica.turns = self.turns
        self.log: dict[str, bytes] = {}
        self.seq = 0
        self.pieces: Iterator[None] = iter(())
        self.clients = [Client(self) for _ in range(2)]

    def change(self, key: str, lon: int | None, n: int) -> None:
        self.slice([(key, lon, n)])

    def slice(self, changes: list[tuple[str, int | None, int]]) -> None:
        """A slice of the log has come. What was not done of the one before is done first."""
        self.finish()
        # Costly filters have no time: they judge everything in their turns.
        self.pieces = self.replica.pieces([entry for change in changes for entry in self.entries(*change)])

    def entries(self, key: str, lon: int | None, n: int) -> Iterator[LogEntry]:
        old, new = self.log.get(key), None if lon is None else stored(lon, n)
        if old != new:
            self.seq += 1
            self.log[key] = new  # type: ignore[assignment]
            if new is None:
                del self.log[key]
            yield LogEntry(self.seq, key, old, new, "deleted" if new is None else None)

    def replace(self, changes: list[tuple[str, int | None, int]]) -> None:
        """So much has changed that the log does not reach back to the replica."""
        self.finish()
        for change in changes:
            list(self.entries(*change))
        while self.turns.steps:  # who has not received everything would be given up
            self.turns.take(1)
        self.seq += 1
        state = FeedState(Cursor("e", self.seq), {key.encode(): value for key, value in self.log.items()})
        self.pieces = self.replica.replacing(state)

    def piece(self, count: int) -> None:
        for _ in islice(self.pieces, count):
            pass

    def finish(self) -> None:
        for _ in self.pieces:
            pass

    def subscribe(self, client: int, spec: int) -> None:
        if not self.clients[client].cursor:
            self.clients[client].held = {}
        self.clients[client].subscribe(compile_filter(SPECS[spec]), False)

    def move(self, client: int, spec: int, redraw: bool) -> None:
        self.clients[client].move(compile_filter(SPECS[spec]), redraw)

    def resume(self, client: int) -> None:
        one = self.clients[client]
        if one.view is None:
            return
        condition = one.view.filter
        one.receive()
        one.hang_up()
        if not one.cursor or not self.replica.reaches(Cursor.parse(one.cursor)):
            one.held, one.cursor = {}, None
        one.subscribe(condition, True)  # type: ignore[arg-type]

    def step(self, count: int) -> None:
        self.turns.take(count)

    def take(self, client: int, writes: int) -> None:
        self.clients[client].sender.take(writes)

    def settle(self) -> None:
        self.finish()
        for client in self.clients:
            client.sender.take(None)
        while self.turns.steps:
            self.turns.take(1)
        for client in self.clients:
            client.receive()
            assert client.outbox.idle and client.promised is None
            if client.view is not None:
                matches = client.view.filter.matches
                assert client.held == {key: item.value for key, item in self.replica.items.items() if matches(item)}
                assert client.cursor is not None and Cursor.parse(client.cursor) <= self.replica.cursor


@contextmanager
def smallest_pieces(large: bool) -> Iterator[None]:
    """No time for anything: everything that can be done later is. `large`: few filters are judged, and items found, as many are."""
    with pytest.MonkeyPatch.context() as patch:
        if large:
            patch.setattr(replica, "ARRAYS_FROM", 0)
            patch.setattr(replica, "PLACES_FROM", 1)
            patch.setattr(places, "FOUND", 2)
            patch.setattr(places, "MOST_SHARE", 1.0)
        for module in (follower, replica):
            patch.setattr(module, "STEP_SECONDS", -1.0)
            patch.setattr(module, "PIECE_SECONDS", -1.0)
        yield


_what = st.tuples(st.sampled_from(KEYS), st.sampled_from([None, 1, 7, 7, 11, 15]), st.integers(0, 4))
_change = _what.map(lambda what: ("change", *what))
_client = st.integers(0, 1)
_step = st.one_of(
    *[_change] * 2,
    *[st.tuples(st.just("slice"), st.lists(_what, min_size=2, max_size=4))] * 3,
    *[st.tuples(st.just("piece"), st.integers(1, 3))] * 4,
    st.tuples(st.just("replace"), st.lists(_what, max_size=3)),
    *[st.tuples(st.just("step"), st.integers(1, 6))] * 3,
    *[st.tuples(st.just("take"), _client, st.integers(0, 3))] * 3,
    st.tuples(st.just("move"), _client, st.integers(0, len(SPECS) - 1), st.booleans()),
    st.tuples(st.just("resume"), _client),
)


@example(  # deleted while a costly filter has not judged that yet, then the client asks for something else
    before=[("change", "c", 1, 0)],
    specs=[0, 0],
    steps=[("replace", []), ("change", "c", None, 0), ("move", 0, 3, False), ("piece", 1), ("step", 1), ("move", 0, 0, False)],
    large=False,
)
@settings(max_examples=examples(150, long=5000))
@given(
    before=st.lists(_change, max_size=8),
    specs=st.lists(st.integers(0, len(SPECS) - 1), min_size=2, max_size=2),
    steps=st.lists(_step, max_size=40),
    large=st.booleans(),
)
def test_what_clients_hold_is_what_there_is(before: list[Any], specs: list[int], steps: list[Any], large: bool) -> None:
    world = World()
    with smallest_pieces(large):
        for name, *arguments in before:
            getattr(world, name)(*arguments)
        for client, spec in enumerate(specs):
            world.subscribe(client, spec)
        for name, *arguments in steps:
            getattr(world, name)(*arguments)
        world.settle()
        assert world.replica._versions.kept == 0
