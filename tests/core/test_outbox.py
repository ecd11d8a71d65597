"""What waits for a slow client: conflated, in order, bounded, and never across a seal."""

from __future__ import annotations

import itertools

import pytest

from streaming.core.deliveries import Bulk, Delivery, Frames, KeyedQueue, Kind, LogQueue, conflated, losses, merged
from streaming.core.filters import FilterSpec, compile_filter
from streaming.core.items import Item
from streaming.core.limits import OutboxLimits
from streaming.core.outbox import Outbox
from streaming.core.view import View

from .doubles import RecordingEncoder, RecordingSender

ITEM = Item("k", b'{"geometry":null,"type":"Feature"}', 0)
EVERYTHING = compile_filter(FilterSpec())


def delivery(kind: Kind, key: str, seq: int | None = None) -> Delivery:
    return Delivery(kind, key, None if kind == "deleted" else ITEM, "e", seq)


class Rig:
    """One connection with one view."""

    def __init__(self, max_rate: float | None = None, events: int = 0, **limits: float) -> None:
        self.sender = RecordingSender()
        self.given_up: list[str] = []
        self.outbox = Outbox(self.sender, OutboxLimits(**limits), self.given_up.append)  # type: ignore[arg-type]
        self.encoder = RecordingEncoder()
        queue = LogQueue(self.encoder, events) if events else None
        self.view = View(self.outbox, self.encoder, EVERYTHING, max_rate, queue)

    def tell(self, kind: Kind, key: str, seq: int | None = None) -> None:
        self.view.deliver([delivery(kind, key, seq)], {})

    @property
    def told(self) -> list[tuple[str, ...]]:
        return [frame if isinstance(frame, str) else frame[:2] for frame in self.sender.told]


@pytest.mark.parametrize(
    ("waiting", "newer", "told"),
    [
        ("added", "added", "added"),
        ("added", "updated", "added"),
        ("added", "deleted", None),
        ("updated", "added", "updated"),
        ("updated", "updated", "updated"),
        ("updated", "deleted", "deleted"),
        ("deleted", "added", "updated"),
        ("deleted", "updated", "updated"),
        ("deleted", "deleted", "deleted"),
    ],
)
def test_what_two_deliveries_come_to(waiting: Kind, newer: Kind, told: Kind | None) -> None:
    result = merged(delivery(waiting, "k", 3), delivery(newer, "k", 7))
    assert (result and result.kind) == told


def test_a_merged_delivery_shows_the_newer_item_and_promises_only_the_older_number() -> None:
    newest = Item("k", b'{"geometry":null,"type":"Feature","n":1}', 0)
    result = merged(delivery("added", "k", 3), Delivery("updated", "k", newest, "e", 7))
    assert result is not None and result.item is newest and result.cursor == "e:3"


def test_a_merged_update_starts_from_what_the_client_held_before_the_older_one() -> None:
    sent, between, newest = (Item("k", b'{"type":"Feature","n":%d}' % number, 0) for number in range(3))
    older = Delivery("updated", "k", between, "e", 3, base=sent)
    result = merged(older, Delivery("updated", "k", newest, "e", 7, base=between))
    assert result is not None and result.base is sent and result.promising(None).base is sent


def test_a_merged_addition_starts_from_nothing() -> None:
    result = merged(delivery("added", "k"), Delivery("updated", "k", ITEM, "e", 7, base=ITEM))
    assert result is not None and result.base is None


def test_a_merged_deletion_keeps_the_newer_reason_and_anything_else_has_none() -> None:
    deleted = Delivery("deleted", "k", None, "e", 7, "expired")
    gone, back = merged(delivery("updated", "k"), deleted), merged(deleted, delivery("added", "k"))
    assert gone is not None and gone.reason == "expired"
    assert back is not None and back.reason is None


def test_any_number_of_merges_tells_what_a_client_without_them_needs() -> None:
    for known, steps in itertools.product((True, False), itertools.product((True, False), repeat=4)):
        run, there = [], known
        for now in steps:
            if there or now:
                kind: Kind = "deleted" if not now else "updated" if there else "added"
                run.append(delivery(kind, "k"))
            there = now
        result = conflated(run)
        assert len(result) <= 1
        if result:
            assert (result[0].kind == "added") == (not known)
            assert (result[0].kind != "deleted") == there
        else:
            assert known == there


def test_a_ready_socket_gets_deliveries_at_once_and_unconflated() -> None:
    rig = Rig()
    rig.view.deliver([delivery("added", "a"), delivery("updated", "a")], {})
    assert rig.told == [("added", "a"), ("updated", "a")]
    assert rig.outbox.sent == 2


def test_views_that_share_an_encoder_have_a_turn_encoded_once() -> None:
    rig, other = Rig(), Rig()
    other.view.encoder = rig.encoder
    shared: dict[object, object] = {}
    for each in (rig, other):
        each.view.deliver([delivery("added", "a")], shared)  # type: ignore[arg-type]
    assert rig.told == other.told == [("added", "a")]
    assert rig.encoder.calls == 1


def test_what_waits_conflates_where_its_key_began_to_wait() -> None:
    rig = Rig()
    rig.sender.take(0)
    for number, (kind, key) in enumerate([("added", "a"), ("updated", "b"), ("updated", "a"), ("updated", "c"), ("deleted", "b")]):
        rig.tell(kind, key, number)  # type: ignore[arg-type]
    assert rig.outbox.messages == 3
    rig.sender.take(None)
    assert rig.sender.told == [("added", "a", "e:0"), ("deleted", "b", "e:1"), ("updated", "c", "e:3")]
    assert rig.outbox.messages == rig.outbox.bytes == 0


def test_a_feature_that_came_and_went_while_waiting_is_not_told() -> None:
    rig = Rig()
    rig.sender.take(0)
    rig.tell("added", "a")
    rig.tell("deleted", "a")
    assert (rig.outbox.messages, rig.outbox.bytes) == (0, 0)
    rig.sender.take(None)
    assert rig.told == []


def test_a_feature_that_comes_and_goes_all_the_time_costs_nothing_while_waiting() -> None:
    rig = Rig(messages=10)
    rig.sender.take(0)
    for _ in range(1000):
        rig.tell("added", "a")
        rig.tell("deleted", "a")
    rig.tell("added", "a")
    assert rig.outbox.messages == 1
    rig.outbox.check(0)
    assert not rig.given_up
    rig.sender.take(None)
    assert rig.told == [("added", "a")]


def test_a_slow_socket_gets_about_write_bytes_at_a_time() -> None:
    rig = Rig(write_bytes=500)
    rig.sender.take(0)
    for number in range(9):
        rig.tell("updated", str(number))
    rig.sender.take(1)
    assert len(rig.sender.told) == 3
    rig.tell("updated", "0")
    rig.sender.take(None)
    assert [key for _, key in rig.told] == [*"012345678", "0"]


def test_acks_and_pongs_keep_their_place_behind_what_waits() -> None:
    rig = Rig()
    rig.sender.take(0)
    rig.tell("added", "a")
    rig.outbox.send("pong")
    rig.tell("updated", "a")
    rig.sender.take(None)
    assert rig.told == [("added", "a"), "pong"]


def test_nothing_merges_across_a_bulk() -> None:
    rig = Rig()
    rig.sender.take(0)
    rig.tell("added", "a")
    rig.view.bulk([delivery("updated", "a"), delivery("added", "b")])
    rig.tell("deleted", "a")
    rig.tell("updated", "b")
    rig.sender.take(None)
    assert rig.told == [("added", "a"), ("updated", "a"), ("added", "b"), ("deleted", "a"), ("updated", "b")]


def test_a_bulk_is_encoded_piece_by_piece() -> None:
    rig = Rig(write_bytes=500)
    rig.sender.take(2)
    rig.view.bulk([delivery("added", str(number)) for number in range(10)])
    assert [len(frames) for frames in rig.sender.writes] == [3, 3]
    assert (rig.outbox.messages, rig.outbox.bytes) == (4, 4 * Bulk.POINTER)


def test_what_waits_for_a_view_that_is_gone_is_dropped() -> None:
    rig = Rig()
    rig.sender.take(0)
    rig.tell("added", "a")
    rig.outbox.send("pong")
    rig.outbox.forget(rig.view)
    rig.sender.take(None)
    assert rig.told == ["pong"]


def test_a_snapshot_that_still_waits_for_a_view_that_is_gone_is_dropped() -> None:
    rig = Rig()
    rig.sender.take(0)
    rig.tell("added", "a")
    rig.view.bulk([delivery("updated", "a")])
    rig.tell("deleted", "a")
    rig.outbox.send("pong")
    rig.outbox.forget(rig.view)
    rig.sender.take(None)
    assert rig.told == ["pong"]


def test_events_do_not_conflate_and_the_oldest_are_dropped_and_counted() -> None:
    rig = Rig(events=3)
    rig.sender.take(0)
    for number in range(5):
        rig.tell("event", str(number))
    assert isinstance(rig.view.queue, LogQueue) and rig.view.queue.dropped == 2
    rig.sender.take(None)
    assert rig.told == ["gap 2", ("event", "2"), ("event", "3"), ("event", "4")]


def test_a_gap_is_told_once() -> None:
    rig = Rig(events=3, write_bytes=1)
    rig.sender.take(0)
    for number in range(5):
        rig.tell("event", str(number))
    rig.sender.take(None)
    assert rig.told == ["gap 2", ("event", "2"), ("event", "3"), ("event", "4")]


def test_lines_that_the_log_lost_are_told_before_the_next_event_of_a_ready_client() -> None:
    rig = Rig(events=3)
    rig.view.lost(4)
    rig.tell("event", "5")
    rig.tell("event", "6")
    assert rig.told == ["gap 4", ("event", "5"), ("event", "6")]


def test_a_client_over_its_bounds_is_given_up_after_some_time() -> None:
    rig = Rig(messages=3, slow_seconds=30)
    rig.sender.take(0)
    for number in range(4):
        rig.tell("added", str(number))
    for now in (0, 10, 30):
        rig.outbox.check(now)
    assert not rig.given_up
    rig.outbox.check(31)
    assert len(rig.given_up) == 1


def test_a_client_that_catches_up_in_time_is_kept() -> None:
    rig = Rig(messages=3, slow_seconds=30, write_bytes=1)
    rig.sender.take(0)
    for number in range(4):
        rig.tell("added", str(number))
    rig.outbox.check(0)
    rig.sender.take(2)
    rig.outbox.check(20)
    rig.tell("added", "5")
    rig.tell("added", "6")
    rig.outbox.check(40)
    assert not rig.given_up


@pytest.mark.parametrize("limits", [{"messages": 3}, {"bytes": 3 * 234}])
def test_four_times_a_bound_is_too_much_at_once(limits: dict[str, float]) -> None:
    rig = Rig(**limits)
    rig.sender.take(0)
    for number in range(13):
        rig.tell("added", str(number))
    rig.outbox.check(0)
    assert len(rig.given_up) == 1


def test_a_large_snapshot_does_not_make_a_client_slow() -> None:
    rig = Rig(messages=3, stalled_seconds=1000)
    rig.sender.take(0)
    rig.view.bulk([delivery("added", str(number)) for number in range(1000)])
    for now in (0, 100):
        rig.outbox.check(now)
    assert not rig.given_up


def test_a_client_that_takes_nothing_at_all_is_given_up() -> None:
    rig = Rig(stalled_seconds=120)
    rig.sender.take(0)
    rig.tell("added", "a")
    rig.outbox.check(0)
    rig.outbox.check(120)
    assert not rig.given_up
    rig.outbox.check(121)
    assert len(rig.given_up) == 1


def test_a_client_that_takes_a_little_is_not_stalled() -> None:
    rig = Rig(stalled_seconds=120, write_bytes=1)
    rig.sender.take(0)
    for number in range(10):
        rig.tell("added", str(number))
    for now in range(0, 600, 100):
        rig.outbox.check(now)
        rig.sender.take(1)
    assert not rig.given_up


def test_a_client_for_whom_nothing_waits_is_never_slow() -> None:
    rig = Rig(stalled_seconds=1)
    rig.sender.take(0)
    rig.outbox.check(0)
    rig.outbox.check(1000)
    assert not rig.given_up


def test_frames_are_sent_as_they_are() -> None:
    rig = Rig()
    rig.outbox.put(Frames(["one", "two"]))
    assert rig.told == ["one", "two"]


def test_a_queue_knows_its_size_whatever_was_merged_and_taken() -> None:
    queue = KeyedQueue(RecordingEncoder())
    queue.push([delivery("added", "a"), delivery("updated", "b"), delivery("deleted", "b"), delivery("updated", "c")])
    queue.take(1)
    queue.push([delivery("deleted", "a"), delivery("updated", "b")])
    queue.take(1)
    queue.take(1)
    assert (len(queue), queue.size) == (1, 200)
    queue.take(1)
    assert (len(queue), queue.size) == (0, 0)


def test_what_is_replaced_and_what_is_dropped_is_counted() -> None:
    conflated, dropped = losses.conflated, losses.dropped
    KeyedQueue(RecordingEncoder()).push([delivery("added", "a"), delivery("updated", "a"), delivery("updated", "b")])
    LogQueue(RecordingEncoder(), 1).push([delivery("event", "a"), delivery("event", "b"), delivery("event", "c")])
    assert (losses.conflated - conflated, losses.dropped - dropped) == (1, 2)


# -- lanes ------------------------------------------------------------------


def in_lane(rig: Rig, lane: str) -> View:
    return View(rig.outbox, rig.encoder, EVERYTHING, lane=lane)


def test_a_small_snapshot_does_not_wait_for_a_large_one_in_another_lane() -> None:
    rig = Rig(write_bytes=500)
    rig.sender.take(0)
    in_lane(rig, "large").bulk([delivery("added", f"large{number}") for number in range(100)])
    in_lane(rig, "small").bulk([delivery("added", f"small{number}") for number in range(4)])
    rig.sender.take(5)
    assert [key for _, key in rig.told if key.startswith("small")] == ["small0", "small1", "small2", "small3"]


def test_what_happens_in_one_lane_overtakes_a_snapshot_in_another() -> None:
    rig = Rig(write_bytes=500)
    rig.sender.take(1)
    in_lane(rig, "large").bulk([delivery("added", str(number)) for number in range(100)])
    live = in_lane(rig, "live")
    rig.sender.budget = 1
    live.deliver([delivery("updated", "now")], {})
    assert rig.told[-1] == ("updated", "now")


def test_within_a_lane_everything_keeps_its_order() -> None:
    rig = Rig(write_bytes=500)
    rig.sender.take(0)
    view = in_lane(rig, "s")
    view.bulk([delivery("added", str(number)) for number in range(10)])
    view.deliver([delivery("updated", "3")], {})
    rig.outbox.send("ack", lane="s")
    rig.sender.take(None)
    assert rig.told == [*(("added", str(number)) for number in range(10)), ("updated", "3"), "ack"]


def test_finished_frames_go_first_those_of_a_lane_in_order() -> None:
    rig = Rig(write_bytes=500)
    rig.sender.take(0)
    in_lane(rig, "large").bulk([delivery("added", str(number)) for number in range(100)])
    rig.outbox.send("pong 1")
    rig.outbox.send("ack", lane="t")
    rig.outbox.send("pong 2")
    rig.sender.take(None)
    assert sorted(rig.told[:3]) == ["ack", "pong 1", "pong 2"]
    assert rig.told.index("pong 1") < rig.told.index("pong 2")  # type: ignore[arg-type]


def test_nothing_overtakes_a_reserved_place_in_its_lane() -> None:
    rig = Rig()
    view = in_lane(rig, "s")
    place = view.reserve()
    view.deliver([delivery("updated", "a")], {})
    rig.outbox.send("other", lane="t")
    assert rig.told == ["other"]
    rig.outbox.fill(place, [Frames(["ack"]), view.bulk_of([delivery("added", "a")])])
    assert rig.told == ["other", "ack", ("added", "a"), ("updated", "a")]
    assert rig.outbox.idle


def test_a_reserved_place_that_was_forgotten_stays_empty() -> None:
    rig = Rig()
    view = in_lane(rig, "s")
    place = view.reserve()
    view.deliver([delivery("updated", "a")], {})
    rig.outbox.forget(view)
    rig.outbox.fill(place, [Frames(["ack"])])
    assert rig.told == [] and rig.outbox.idle


def test_what_waits_keeps_the_form_it_was_to_have() -> None:
    rig, other = Rig(), RecordingEncoder()
    rig.sender.take(0)
    rig.tell("added", "a", 1)
    rig.view.encode_with(other)
    rig.tell("updated", "a", 2)
    rig.tell("added", "b", 3)
    rig.sender.take(None)
    assert rig.told == [("added", "a"), ("updated", "a"), ("added", "b")]
    assert (rig.encoder.calls, other.calls) == (1, 1)
    rig.tell("updated", "b", 4)
    assert (rig.encoder.calls, other.calls) == (1, 2)
