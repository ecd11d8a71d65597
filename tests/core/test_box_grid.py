"""The grid finds every pair of a box and a place that touch, and no other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core import box_grid
from streaming.core.bbox import Box
from streaming.core.box_grid import BoxGrid

from .test_index import any_box, boxes, points, touch

Wanted = list[tuple[list[Box], bool]]
entries = st.lists(st.tuples(st.lists(boxes, max_size=2), st.booleans()), max_size=25)
places = st.one_of(st.lists(points, max_size=10), st.lists(st.one_of(points, any_box), max_size=10))


@pytest.fixture(params=[1, 1000], autouse=True, scope="module")
def columns(request: pytest.FixtureRequest) -> object:
    """Cells with columns, and cells without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(box_grid, "_COLUMNS_FROM", request.param)
        yield


def inside(place: Box, box: Box) -> bool:
    return box[0] <= place[0] and place[2] <= box[2] and box[1] <= place[1] and place[3] <= box[3]


def found(grid: BoxGrid[str], queries: list[Box]) -> tuple[set[tuple[str | None, int]], set[tuple[str | None, int]]]:
    touching = grid.touching(queries)
    assert touching is not None
    pairs = [(grid.entries[entry], place) for entry, place in zip(touching.entries.tolist(), touching.places.tolist(), strict=True)]
    return set(pairs), {pair for pair, certain in zip(pairs, touching.certain.tolist(), strict=True) if certain}


def check(grid: BoxGrid[str], wanted: dict[str, tuple[list[Box], bool]], queries: list[Box]) -> None:
    pairs, certain = found(grid, queries)
    numbered = list(enumerate(queries))
    assert pairs == {(name, at) for name, (own, _) in wanted.items() for at, place in numbered if any(touch(box, place) for box in own)}
    assert certain == {
        (name, at) for name, (own, plain) in wanted.items() for at, place in numbered if plain and any(inside(place, box) for box in own)
    }


@given(entries, places)
def test_what_touches_is_found_and_is_certain_where_a_box_holds_the_place(wanted: Wanted, queries: list[Box]) -> None:
    grid: BoxGrid[str] = BoxGrid()
    by_name = {f"entry {number}": each for number, each in enumerate(wanted)}
    for name, (own, plain) in by_name.items():
        grid.add(name, own, plain)
    check(grid, by_name, queries)


@given(entries, entries, st.lists(points, min_size=1, max_size=5))
def test_what_has_gone_is_found_no_more_and_its_place_is_used_again(first: Wanted, then: Wanted, queries: list[Box]) -> None:
    grid: BoxGrid[str] = BoxGrid()
    by_name = {f"first {number}": each for number, each in enumerate(first)}
    for name, (own, plain) in by_name.items():
        grid.add(name, own, plain)
    check(grid, by_name, queries)
    for name in list(by_name)[::2]:
        grid.remove(name)
        del by_name[name]
    for number, each in enumerate(then):
        by_name[f"then {number}"] = each
        grid.add(f"then {number}", *each)
    check(grid, by_name, queries)
    assert len(grid) == len(by_name)


@given(entries, st.lists(boxes, min_size=1, max_size=2))
def test_a_few_candidates_hold_all_that_touch_each_once(wanted: Wanted, queries: list[Box]) -> None:
    grid: BoxGrid[int] = BoxGrid()
    for number, (own, plain) in enumerate(wanted):
        grid.add(number, own, plain)
    few = grid.few(queries)
    touching = {number for number, (own, _) in enumerate(wanted) if any(touch(box, place) for box in own for place in queries)}
    if few is None:
        assert 2 * sum(len(own) for own, _ in wanted) > box_grid._FEW, "a box may be counted for each place"
    else:
        assert touching <= set(few) and len(few) == len(set(few))


def test_many_candidates_are_not_listed() -> None:
    grid: BoxGrid[int] = BoxGrid()
    for number in range(box_grid._FEW + 1):
        grid.add(number, [(0.0, 0.0, 1.0, 1.0)], True)
    assert grid.few([(0.5, 0.5, 0.5, 0.5)]) is None and grid.few([(50.0, 50.0, 50.0, 50.0)]) == []


def test_too_many_pairs_are_not_compared() -> None:
    grid: BoxGrid[int] = BoxGrid()
    for number in range(10):
        grid.add(number, [(0.0, 0.0, 1.0, 1.0)], True)
    assert grid.touching([(0.5, 0.5, 0.5, 0.5)] * 2, 19) is None
    touching = grid.touching([(0.5, 0.5, 0.5, 0.5)] * 2, 20)
    assert touching is not None and len(touching.entries) == 20


def test_without_a_place_nothing_touches() -> None:
    grid: BoxGrid[int] = BoxGrid()
    grid.add(1, [(0.0, 0.0, 1.0, 1.0)], True)
    touching = grid.touching([])
    assert touching is not None and not len(touching.entries)
