"""Recordings: times, order, copies."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from streaming.core.datetimes import microseconds
from streaming.core.errors import StreamError
from streaming.features.recordings import Recording, with_time
from tests.commands.conftest import feature

NOON = 1_533_124_800_000_000  # 2018-08-01T12:00:00Z


@pytest.mark.parametrize(
    "value",
    [
        "2018-08-01T12:00:00Z",
        "2018-08-01T14:00:00+02:00",
        "2018-08-01 12:00:00",
        "2018-08-01T12:00",
        NOON // 1000,
        NOON // 10**6,
        NOON / 1e6,
    ],
)
def test_times_are_read_as_people_write_them(value: object) -> None:
    assert microseconds(value) == NOON


@pytest.mark.parametrize("value", [None, True, "", "noon", float("nan"), [1]])
def test_what_is_no_time_is_none(value: object) -> None:
    assert microseconds(value) is None


def test_features_come_in_the_order_of_their_times(lines_file: Callable[..., str]) -> None:
    path = lines_file(feature("c", time=30), feature("a", time=10), feature("b", time=20), feature("b2", time=20))
    assert [one.key for one in Recording(path)] == ['"a"', '"b"', '"b2"', '"c"']


def test_a_recording_can_be_read_again(lines_file: Callable[..., str]) -> None:
    recording = Recording(lines_file(feature("a", time=1), feature(None, time=2)))
    assert list(recording) == list(recording)
    assert recording.refused.refused == 1


def test_a_feature_that_is_later_than_the_window_is_told(lines_file: Callable[..., str]) -> None:
    path = lines_file(*(feature(number, time=1000 + number) for number in range(50)), feature("late", time=1))
    with pytest.raises(StreamError, match="sort the file"):
        list(Recording(path, window=10))


@pytest.mark.parametrize("name", ["datetime", "time", "timestamp", "date"])
def test_the_time_property_is_found(lines_file: Callable[..., str], name: str) -> None:
    recording = Recording(lines_file(feature("a", other="x", **{name: "2018-08-01T12:00:00Z"})))
    assert [one.time for one in recording] == [NOON]
    assert recording.time_property == name


def test_features_without_a_time_are_refused(lines_file: Callable[..., str]) -> None:
    recording = Recording(lines_file(feature("a", seen=1), feature("b")), time_property="seen")
    assert [one.key for one in recording] == ['"a"']
    assert "'seen'" in recording.refused.errors[0]["message"]


def test_what_is_before_the_start_or_after_the_end_is_left_out(lines_file: Callable[..., str]) -> None:
    path = lines_file(*(feature(number, time=number) for number in range(5)))
    assert [one.key for one in Recording(path, start=1e6, until=3e6)] == ["1", "2", "3"]


def test_copies_move_as_the_original_does(lines_file: Callable[..., str]) -> None:
    path = lines_file(feature("a", 7, 47, time=1), feature("a", 8, 46, time=2))
    copies = [json.loads(one.value) for one in Recording(path, multiply=3)]
    assert [one["id"] for one in copies] == ["a", "a-1", "a-2"] * 2
    places = [one["geometry"]["coordinates"] for one in copies]
    assert len({tuple(place) for place in places}) == 6
    for before, after in zip(places[:3], places[3:], strict=True):
        assert after == pytest.approx([before[0] + 1, before[1] - 1], abs=1e-5)


def test_copies_of_every_geometry_are_moved(lines_file: Callable[..., str]) -> None:
    ring = [[0, 0], [1, 0], [1, 1], [0, 0]]
    parts = [{"type": "Polygon", "coordinates": [ring]}, {"type": "Point", "coordinates": [1, 2, 3]}]
    path = lines_file({**feature("a", time=1), "geometry": {"type": "GeometryCollection", "geometries": parts}})
    first, second = (json.loads(one.value)["geometry"]["geometries"] for one in Recording(path, multiply=2))
    assert first[0]["coordinates"][0][0] != second[0]["coordinates"][0][0]
    assert second[1]["coordinates"][2] == 3


@pytest.mark.parametrize(
    "before, after", [("2018", "2018-08-01T12:00:00.000Z"), (1_000_000_000_000, NOON // 1000), (1_000_000_000, NOON / 1e6)]
)
def test_a_rewritten_time_is_written_as_it_was(before: object, after: object) -> None:
    value = with_time(json.dumps(feature("a", time=before)).encode(), "time", NOON)
    assert json.loads(value)["properties"]["time"] == after
