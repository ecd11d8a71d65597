"""The index never leaves out an entry that touches the queried box."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.bbox import Box
from streaming.core.index import BoxIndex

WORLD = (-180.0, -90.0, 180.0, 90.0)
xs = st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, -0.0, 0.0, 90.0, 179.999999, 180.0]))
ys = st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 0.0, 45.0, 90.0]))
points = st.builds(lambda x, y: (x, y, x, y), xs, ys)
small = st.builds(lambda x, y, w, h: (x, y, min(180.0, x + w), min(90.0, y + h)), xs, ys, st.floats(0, 2), st.floats(0, 2))
any_box = st.builds(lambda a, b, c, d: (min(a, c), min(b, d), max(a, c), max(b, d)), xs, ys, xs, ys)
boxes = st.one_of(points, small, any_box)
entries = st.lists(st.one_of(st.none(), st.lists(boxes, max_size=2)), max_size=25)


def touch(one: Box, other: Box) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]


def filled(wanted: list[list[Box] | None]) -> BoxIndex[int]:
    index: BoxIndex[int] = BoxIndex()
    for number, of_entry in enumerate(wanted):
        index.add(number, of_entry)
    return index


def expected(wanted: list[list[Box] | None], *queries: Box | None) -> set[int]:
    return {n for n, of_entry in enumerate(wanted) if of_entry is None or any(q and touch(b, q) for b in of_entry for q in queries)}


@given(entries, st.one_of(st.none(), boxes))
def test_all_that_touch_are_candidates_once(wanted: list[list[Box] | None], query: Box | None) -> None:
    found = list(filled(wanted).candidates(query))
    assert expected(wanted, query) <= set(found)
    assert len(found) == len(set(found))


@given(entries, st.one_of(st.none(), boxes), st.one_of(st.none(), boxes))
def test_a_change_concerns_all_that_touch_its_old_or_its_new_box(wanted: list[list[Box] | None], old: Box | None, new: Box | None) -> None:
    found = list(filled(wanted).candidates_of_change(old, new))
    assert expected(wanted, old, new) <= set(found)
    assert len(found) == len(set(found))


@given(entries, st.data())
def test_what_was_removed_is_no_candidate_and_leaves_nothing_behind(wanted: list[list[Box] | None], data: st.DataObject) -> None:
    index = filled(wanted)
    for number in data.draw(st.permutations(range(len(wanted)))):
        assert number in index
        index.remove(number)
        assert number not in index.candidates(WORLD)
    assert len(index) == 0
    assert not index._levels


@given(boxes, boxes)
def test_touching_edges_are_found(box: Box, other: Box) -> None:
    index = filled([[box]])
    west, south, east, north = box
    for corner in ((west, south), (west, north), (east, south), (east, north)):
        assert 0 in index.candidates((*corner, *corner))


def test_an_entry_without_boxes_is_a_candidate_for_everything() -> None:
    index = filled([None, [], [(0, 0, 1, 1)]])
    assert list(index.candidates(None)) == [0]
    assert list(index.candidates((50, 50, 50, 50))) == [0]
    assert list(index.candidates((0.5, 0.5, 0.5, 0.5))) == [0, 2]


def test_a_far_point_has_no_candidates() -> None:
    index = filled([[(x / 10, 0, x / 10 + 0.1, 0.1)] for x in range(1000)])
    assert len(index.candidates((50.05, 0.05, 50.05, 0.05))) < 6


@pytest.mark.parametrize("place", [(180.0, 0.0), (-180.0, 0.0), (0.0, 90.0), (0.0, -90.0), (180.0, 90.0)])
def test_the_edges_of_the_world_are_found(place: tuple[float, float]) -> None:
    index = filled([[WORLD], [(170, -90, 180, 90), (-180, -90, -170, 90)], [(-180, 89, 180, 90), (-180, -90, 180, -89)]])
    assert expected([[WORLD]], (*place, *place)) <= set(index.candidates((*place, *place)))


def test_an_entry_added_again_moves() -> None:
    index = filled([[(0, 0, 1, 1)]])
    index.add(0, [(50, 50, 51, 51)])
    assert 0 not in index.candidates((0.5, 0.5, 0.5, 0.5))
    assert 0 in index.candidates((50, 50, 50, 50))


def test_candidates_may_be_removed_while_they_are_walked() -> None:
    index = filled([[WORLD], None, [(0, 0, 1, 1)]])
    for entry in index.candidates((0.5, 0.5, 0.5, 0.5)):
        index.remove(entry)
    assert len(index) == 0


def test_removing_what_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        filled([]).remove(1)
