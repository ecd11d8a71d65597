"""Many filters are judged together, with arrays; what they are told is what each of them finds by itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core import box_grid, judging
from streaming.core import follower as follower_module
from streaming.core import replica as replica_module
from streaming.core.feed import Cursor, Feed, FeedState, LogEntry
from streaming.core.filters import Filter, FilterSpec, compile_filter
from streaming.core.limits import OutboxLimits
from streaming.core.outbox import Outbox
from streaming.core.replica import Replica
from streaming.core.view import View

from .doubles import RecordingEncoder, RecordingSender

_SQUARE = [[-1.0, -1.0], [3.0, -1.0], [3.0, 3.0], [-1.0, 3.0], [-1.0, -1.0]]
GEOMETRIES: list[Any] = [
    None,
    {"type": "Point", "coordinates": [0.5, 0.5]},
    {"type": "Point", "coordinates": [1, 1]},
    {"type": "Point", "coordinates": [179.5, 0.0]},
    {"type": "Point", "coordinates": [-180.0, 0.0]},
    {"type": "MultiPoint", "coordinates": [[0.0, 0.0], [2.0, 2.0]]},
    {"type": "Polygon", "coordinates": [_SQUARE]},
    {"type": "LineString", "coordinates": [[-170.0, -80.0], [170.0, 80.0]]},
]
FILTERS = [
    compile_filter(spec)
    for spec in (
        FilterSpec(),
        FilterSpec(filters=[("n", "1")]),
        FilterSpec(bbox=[0, 0, 1, 1]),
        FilterSpec(bbox=[1, 1, 2, 2]),
        FilterSpec(bbox=[0.9, 0.9, 1.8, 1.8]),
        FilterSpec(bbox=[-180, -90, 180, 90]),
        FilterSpec(bbox=[179, -1, -179, 1]),
        FilterSpec(bbox=[0, 0, 1, 1], filters=[("n", "1")]),
        FilterSpec(bbox=[0, 0, 2, 2], filter="n = 2"),
        FilterSpec(geometry={"type": "Polygon", "coordinates": [[[0, 0], [3, 0], [0, 3], [0, 0]]]}),
        FilterSpec(center=[0.5, 0.5], radius_m=1000),
        FilterSpec(bbox=[5, 5, 6, 6]),
    )
]
steps = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.one_of(st.none(), st.tuples(st.integers(0, len(GEOMETRIES) - 1), st.integers(1, 2))),
    ),
    min_size=1,
    max_size=30,
)


def entry(seq: int, key: str, looks: tuple[int, int] | None) -> LogEntry:
    if looks is None:
        return LogEntry(seq, key, None, None, "deleted")
    feature = {"geometry": GEOMETRIES[looks[0]], "properties": {"n": looks[1]}, "type": "Feature"}
    return LogEntry(seq, key, None, b"%013d" % seq + json.dumps(feature).encode(), None)


class Watched:
    """A replica, and what the client of each filter is told."""

    def __init__(self, filters: list[Filter] = FILTERS) -> None:
        self.replica = Replica(Feed("f"), FeedState(Cursor("e", 0), {}))
        self.views: list[View] = []
        self.senders: list[RecordingSender] = []
        for each in filters:
            self.join(each)

    def join(self, condition: Filter) -> None:
        sender = RecordingSender()
        view = View(Outbox(sender, OutboxLimits(), lambda why: None), RecordingEncoder(), condition)
        self.replica.join(view)
        self.views.append(view)
        self.senders.append(sender)

    @property
    def told(self) -> list[list[Any]]:
        return [sender.told for sender in self.senders]


@pytest.fixture(autouse=True)
def nothing_is_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box_grid, "_FEW", -1)


def judged(log: list[LogEntry], arrays: bool) -> list[list[Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replica_module, "ARRAYS_FROM", 0 if arrays else 1000)
        watched = Watched()
        for start in range(0, len(log), 10):
            watched.replica.apply(log[start : start + 10])
    assert watched.replica.seq == len(log) and watched.replica.last == log[-1]
    return watched.told


@pytest.mark.parametrize("most", [(400_000, 30_000, 5_000), (8, 30_000, 5_000), (400_000, 3, 5_000), (400_000, 30_000, 2)])
@given(log=steps)
def test_together_they_find_what_each_finds_alone(most: tuple[int, int, int], log: list[tuple[str, tuple[int, int] | None]]) -> None:
    entries = [entry(seq, *step) for seq, step in enumerate(log, 1)]
    with pytest.MonkeyPatch.context() as patch:
        for name, limit in zip(("MOST_PAIRS", "MOST_FOUND", "MOST_ASKED"), most, strict=True):
            patch.setattr(judging, name, limit)
        assert judged(entries, arrays=True) == judged(entries, arrays=False)


def test_what_is_too_much_at_once_is_judged_some_changes_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_module, "ARRAYS_FROM", 0)
    monkeypatch.setattr(follower_module, "PIECE_SECONDS", -1.0)
    monkeypatch.setattr(judging, "MOST_FOUND", 4)
    replica = Watched([compile_filter(FilterSpec(bbox=[0, 0, 1, 1 + number])) for number in range(2)]).replica
    pieces = replica.pieces([entry(seq, f"k{seq}", (1, 1)) for seq in range(1, 7)])
    assert [next(pieces) or replica.seq for _ in range(3)] == [2, 4, 6]


def test_who_joins_between_two_groups_receives_what_comes_after_its_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_module, "ARRAYS_FROM", 0)
    monkeypatch.setattr(follower_module, "PIECE_SECONDS", -1.0)
    monkeypatch.setattr(judging, "MOST_FOUND", 2)
    box = compile_filter(FilterSpec(bbox=[0, 0, 1, 1]))
    watched = Watched([box])
    pieces = watched.replica.pieces([entry(seq, f"k{seq}", (1, 1)) for seq in range(1, 7)])
    next(pieces)
    held = [delivery.key for delivery in watched.replica.snapshot(box)]
    watched.join(box)
    list(pieces)
    keys = [f"k{seq}" for seq in range(1, 7)]
    assert [one.key for one in watched.told[0]] == keys
    assert held and held + [one.key for one in watched.told[1]] == keys


def test_a_filter_that_fails_ends_its_views_and_no_others(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(replica_module, "ARRAYS_FROM", 0)

    def fail(item: Any) -> bool:
        raise ZeroDivisionError

    watched = Watched([Filter("bad", ((0.0, 0.0, 1.0, 1.0),), fail), compile_filter(FilterSpec(bbox=[0, 0, 1, 1]))])
    watched.replica.apply([entry(1, "a", (1, 1)), entry(2, "b", (1, 1))])
    assert watched.told[0] == [] and [one.key for one in watched.told[1]] == ["a", "b"]
    assert watched.views[0].follows is None and "ZeroDivisionError" in caplog.text


def test_observers_are_given_some_changes_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_module, "ARRAYS_FROM", 0)
    given_at_once = []

    class Observer:
        def changed(self, changes: Any) -> None:
            given_at_once.append(len(changes))

        def replaced(self, different: Any) -> None: ...

    replica = Watched().replica
    replica.observe(Observer())
    replica.apply([entry(seq, f"k{seq}", (1, 1)) for seq in range(1, 26)])
    assert sum(given_at_once) == 25 and max(given_at_once) <= follower_module.OBSERVED
