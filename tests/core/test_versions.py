"""Moments: a reader finds the items as they were, and what is kept for it is bounded by what has changed."""

from __future__ import annotations

from streaming.core.items import Change, Item
from streaming.core.versions import Moment, Versions


def item(key: str, number: int) -> Item:
    return Item(key, b"%d" % number, 0)


def changed(versions: Versions, seq: int, key: str, number: int | None) -> None:
    new = None if number is None else item(key, number)
    versions.apply(Change(seq, key, versions.current.get(key), new))


def shown(moment: Moment) -> dict[str, bytes]:
    items = (moment.item(number) for number in range(len(moment)))
    return {one.key: one.value for one in items if one is not None}


def test_a_moment_stays_as_it_was_whatever_changes() -> None:
    versions = Versions({key: item(key, 0) for key in "abc"})
    first = versions.moment(0)
    changed(versions, 1, "a", 1)
    changed(versions, 2, "b", None)
    changed(versions, 3, "d", 3)
    second = versions.moment(3)
    changed(versions, 4, "b", 4)
    changed(versions, 5, "a", None)
    assert shown(first) == {"a": b"0", "b": b"0", "c": b"0"}
    assert shown(second) == {"a": b"1", "c": b"0", "d": b"3"}
    assert [one and one.value for one in second.items(0, 2)] == [b"1", None]


def test_without_readers_nothing_is_kept() -> None:
    versions = Versions({"a": item("a", 0)})
    moment = versions.moment(0)
    changed(versions, 1, "a", 1)
    assert versions.kept == 1
    del moment
    changed(versions, 2, "a", 2)
    assert versions.kept == 0


def test_a_key_that_changes_all_the_time_is_kept_once_for_all_readers() -> None:
    versions = Versions({"a": item("a", 0)})
    moments = [versions.moment(0) for _ in range(100)]
    for seq in range(1, 1000):
        changed(versions, seq, "a", seq)
    assert versions.kept == 1
    assert all(shown(moment) == {"a": b"0"} for moment in moments)


def test_what_only_readers_that_have_ended_needed_is_forgotten() -> None:
    versions = Versions({"a": item("a", 0)})
    reading = versions.moment(0)
    for seq in range(1, 1000):
        changed(versions, seq, "a", seq)
        reading = versions.moment(seq)
    assert versions.kept <= 3
    assert shown(reading) == {"a": b"999"}
