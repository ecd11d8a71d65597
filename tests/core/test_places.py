"""Places: which items a snapshot or a moved view looks at; none is left out that may be told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core import places as places_module
from streaming.core import replica as replica_module
from streaming.core.feed import Cursor, Feed, FeedState, LogEntry
from streaming.core.filters import FilterSpec, compile_filter
from streaming.core.items import Item
from streaming.core.replica import Replica
from streaming.core.turns import Turns

from .test_judging import FILTERS, GEOMETRIES

looks = st.tuples(st.integers(0, len(GEOMETRIES) - 1), st.integers(1, 2))
keys = st.sampled_from([f"k{number}" for number in range(12)])
conditions = st.one_of(st.none(), st.sampled_from(FILTERS))


def stored(geometry: int, n: int) -> bytes:
    return b"0000000000000" + json.dumps({"geometry": GEOMETRIES[geometry], "properties": {"n": n}, "type": "Feature"}).encode()


def replica_of(items: dict[str, tuple[int, int]]) -> Replica:
    return Replica(Feed("f"), FeedState(Cursor("e", 0), {key.encode(): stored(*value) for key, value in items.items()}))


def selected(replica: Replica, *arguments: Any) -> dict[str, str]:
    return {each.key: each.kind for each in replica.select(*arguments).run()}


@given(
    st.dictionaries(keys, looks),
    st.lists(st.tuples(keys, st.one_of(st.none(), looks)), max_size=12),
    conditions,
    conditions,
    st.booleans(),
    st.dictionaries(keys, st.none(), max_size=2),
)
def test_what_is_selected_is_what_is_selected_of_all_items(
    items: dict[str, tuple[int, int]],
    changes: list[tuple[str, tuple[int, int] | None]],
    before: Any,
    after: Any,
    redraw: bool,
    held: dict[str, None],
) -> None:
    found = []
    for few in (1, 1_000_000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(replica_module, "PLACES_FROM", few)
            patch.setattr(places_module, "MOST_SHARE", 1.0)
            replica = replica_of(items)
            replica.select(FILTERS[2])  # from now on it is known where the items are
            for seq, (key, value) in enumerate(changes, 1):
                replica.apply([LogEntry(seq, key, None, None if value is None else stored(*value), None)])
            found.append(selected(replica, after, before, redraw, held))
    assert found[0] == found[1]


def test_points_in_a_box_are_not_judged_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = Replica(Feed("f"), FeedState(Cursor("e", 0), {b"%d" % number: place(number % 100) for number in range(2000)}))
    one, other = (compile_filter(FilterSpec(bbox=[west, 0, west + 4, 4])) for west in (0, 2))
    replica.select(one)  # from now on it is known where the items are

    def judge(item: Item) -> bool:
        raise AssertionError("its place tells")

    monkeypatch.setattr(one, "matches", judge)
    monkeypatch.setattr(other, "matches", judge)
    assert set(selected(replica, one).values()) == {"added"}
    assert sorted(set(selected(replica, other, one).values())) == ["added", "deleted"]
    assert sorted(set(selected(replica, other, one, True).values())) == ["added", "deleted", "updated"]


def test_only_what_is_near_is_looked_at() -> None:
    replica = Replica(Feed("f"), FeedState(Cursor("e", 0), {b"%d" % number: place(number % 100) for number in range(2000)}))
    one, other = compile_filter(FilterSpec(bbox=[0, 0, 4, 4])), compile_filter(FilterSpec(bbox=[1, 0, 5, 4]))
    assert len(replica.select(one)._subjects) == 100  # type: ignore[arg-type]
    assert len(replica.select(other, one)._subjects) == 40, "those that stay are not looked at"
    assert len(replica.select(other, one, True)._subjects) == 120
    assert len(replica.select(compile_filter(FilterSpec()))._subjects) == 2000


def place(longitude: int) -> bytes:
    return b"0000000000000" + b'{"geometry":{"type":"Point","coordinates":[%d,1]},"properties":{},"type":"Feature"}' % longitude


async def test_places_are_found_in_turns_and_until_then_every_item_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places_module, "FOUND", 500)
    replica = Replica(Feed("f"), FeedState(Cursor("e", 0), {b"%d" % number: place(number % 100) for number in range(2000)}))
    replica.turns = turns = Turns()
    box = compile_filter(FilterSpec(bbox=[0, 0, 4, 4]))
    assert len(replica.select(box)._subjects) == 2000
    turns._step()
    replica.apply(
        [LogEntry(1, "0", None, None, "deleted"), LogEntry(2, "1999", None, place(3), None), LogEntry(3, "new", None, place(4), None)]
    )
    while len(turns):
        turns._step()
    assert len(replica.select(box)._subjects) == 101
    assert {each.key for each in replica.select(box).run()} == {key for key, item in replica.items.items() if box.matches(item)}


async def test_of_a_whole_new_state_the_places_are_found_anew() -> None:
    replica = Replica(Feed("f"), FeedState(Cursor("e", 0), {b"%d" % number: place(1) for number in range(1000)}))
    replica.turns = turns = Turns()
    box = compile_filter(FilterSpec(bbox=[0, 0, 4, 4]))
    replica.select(box)
    replica.replace(FeedState(Cursor("e", 9), {b"%d" % number: place(50 + number % 50) for number in range(1000)}))
    while len(turns):
        turns._step()
    assert len(replica.select(box)._subjects) == 1000  # type: ignore[arg-type]
    while len(turns):
        turns._step()
    assert len(replica.select(box)._subjects) == 0  # type: ignore[arg-type]
