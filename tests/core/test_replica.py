"""A replica's answers to those who come back, and to those who stayed while the log was lost."""

from __future__ import annotations

import msgspec
import pytest

from streaming.core.feed import Cursor, Feed, FeedOptions, FeedState, LogEntry
from streaming.core.filters import FilterSpec, compile_filter
from streaming.core.limits import OutboxLimits
from streaming.core.outbox import Outbox
from streaming.core.replica import Replica
from streaming.core.view import View

from .doubles import RecordingEncoder, RecordingSender

NEAR = compile_filter(FilterSpec(bbox=[0, 0, 10, 10]))


def stored(lon: float, arrived: int = 1, **properties: object) -> bytes:
    geometry = {"type": "Point", "coordinates": [lon, 1.0]}
    feature = {"geometry": geometry, "id": "k", "properties": properties, "type": "Feature"}
    return b"%013d" % arrived + msgspec.json.encode(feature)


def replica(*versions: bytes | None) -> Replica:
    """A replica of one key "k" that went through these versions, numbered from 1."""
    made = Replica(Feed("f", FeedOptions(log_length=100)), FeedState(Cursor("e", 0), {}))
    old: bytes | None = None
    for seq, new in enumerate(versions, 1):
        made.apply([LogEntry(seq, "k", old, new, "deleted" if new is None else None)])
        old = new
    return made


def missed(made: Replica, since: int) -> list[tuple[str, str | None]]:
    deliveries = made.missed(NEAR, Cursor("e", since))
    assert deliveries is not None
    return [(delivery.kind, delivery.cursor) for delivery in deliveries]


def test_nothing_is_told_to_a_client_that_is_up_to_date() -> None:
    assert missed(replica(stored(1), stored(2)), 2) == []


def test_a_missed_arrival_is_added() -> None:
    assert missed(replica(stored(1), stored(2)), 0) == [("added", "e:2")]


def test_a_missed_step_is_updated() -> None:
    assert missed(replica(stored(1), stored(2)), 1) == [("updated", "e:2")]


def test_leaving_the_view_is_told_with_its_reason() -> None:
    deliveries = replica(stored(1), stored(50)).missed(NEAR, Cursor("e", 1))
    assert deliveries is not None and [(d.kind, d.reason) for d in deliveries] == [("deleted", "left_view")]


def test_a_deletion_keeps_its_reason() -> None:
    deliveries = replica(stored(1), None).missed(NEAR, Cursor("e", 1))
    assert deliveries is not None and [(d.kind, d.reason) for d in deliveries] == [("deleted", "deleted")]


def test_a_change_elsewhere_is_not_told() -> None:
    assert missed(replica(stored(50), stored(60)), 1) == []


# A conflated message carries the number of the first change it stands for but shows the last: its client is ahead of its cursor.


def test_a_version_that_came_back_is_told_to_a_client_that_may_hold_the_one_between() -> None:
    made = replica(stored(1), stored(2), stored(1))
    assert missed(made, 1) == [("updated", "e:3")]


def test_a_feature_that_was_away_for_a_moment_is_told_to_a_client_that_may_have_dropped_it() -> None:
    made = replica(stored(1), stored(50), stored(1))
    assert missed(made, 1) == [("updated", "e:3")]


def test_a_feature_that_was_there_for_a_moment_is_deleted_at_a_client_that_may_hold_it() -> None:
    made = replica(stored(50), stored(1), stored(50))
    assert missed(made, 1) == [("deleted", "e:3")]
    made = replica(None, stored(1), None)
    assert missed(made, 1) == [("deleted", "e:3")]


def test_a_cursor_of_another_epoch_of_the_future_or_of_before_the_log_is_not_believed() -> None:
    made = replica(stored(1), stored(2))
    assert made.missed(NEAR, Cursor("other", 1)) is None
    assert made.missed(NEAR, Cursor("e", 3)) is None
    made.recent.popleft()
    assert made.missed(NEAR, Cursor("e", 0)) is None


def test_older_log_lines_are_taken_only_if_they_reach_what_is_there() -> None:
    made = Replica(Feed("f"), FeedState(Cursor("e", 3), {b"k": stored(3)}))
    lines = [LogEntry(1, "k", None, stored(1), None), LogEntry(2, "k", stored(1), stored(2), None)]
    made.backfill(lines)
    assert not made.reaches(Cursor("e", 2))
    made.backfill([*lines, LogEntry(3, "k", stored(2), stored(3), None)])
    assert made.reaches(Cursor("e", 0))
    assert missed(made, 1) == [("updated", "e:3")]


def joined(made: Replica, spec: FilterSpec) -> RecordingSender:
    sender = RecordingSender()
    view = View(Outbox(sender, OutboxLimits(), lambda why: None), RecordingEncoder(), compile_filter(spec))
    made.join(view)
    return sender


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (None, 1, "added"),
        (50, 1, "added"),
        (1, 2, "updated"),
        (1, 50, "deleted"),
        (1, None, "deleted"),
        (50, 60, None),
        (None, 50, None),
        (50, None, None),
    ],
)
def test_a_step_is_judged_on_its_old_and_its_new_version(old: float | None, new: float | None, told: str | None) -> None:
    before, after = (None if lon is None else stored(lon) for lon in (old, new))
    made = replica() if before is None else replica(before)
    sender = joined(made, FilterSpec(bbox=[0, 0, 10, 10]))
    made.apply([LogEntry(made.seq + 1, "k", before, after, None)])
    assert [one.kind for one in sender.told] == ([told] if told else [])


def test_a_replaced_state_is_told_as_the_difference() -> None:
    made = replica(stored(1))
    sender = joined(made, FilterSpec(bbox=[0, 0, 10, 10]))
    made.replace(FeedState(Cursor("new", 9), {b"k": stored(2), b"l": stored(3), b"m": stored(50)}))
    assert sender.told == [("updated", "k", None), ("added", "l", "new:9")]


def test_a_replaced_state_tells_what_only_its_time_of_arrival_moved_out_of_view() -> None:
    made = replica(stored(1, arrived=1000))
    sender = joined(made, FilterSpec(datetime="../1970-01-01T00:00:02Z"))
    made.replace(FeedState(Cursor("e", 9), {b"k": stored(1, arrived=5000)}))
    assert sender.told == [("deleted", "k", "e:9")]
