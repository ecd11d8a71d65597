"""Which cursor can be believed when."""

from __future__ import annotations

from streaming.client.position import Position


def test_the_cursor_of_an_ack_without_a_snapshot_holds_at_once() -> None:
    position = Position()
    position.begin("e:1", 0)
    assert position.cursor == "e:1"


def test_there_is_none_while_a_snapshot_arrives() -> None:
    position = Position()
    position.begin("e:1", 3)
    position.received(None, 2)
    assert position.cursor is None
    position.received("e:1", 1)
    assert position.cursor == "e:1"


def test_a_cursor_ends_a_snapshot_that_turned_out_smaller() -> None:
    position = Position()
    position.begin("e:1", 3)
    position.received("e:4", 1)
    assert (position.cursor, position.arriving) == ("e:4", 0)


def test_an_old_cursor_holds_until_the_first_message_of_a_difference() -> None:
    position = Position("e:1")
    position.begin("e:9", 2)
    assert position.cursor == "e:1"
    position.received(None, 1)
    assert position.cursor is None


def test_a_cursor_before_the_ack_of_a_move_does_not_count() -> None:
    position = Position("e:1")
    position.forget()
    position.received("e:2", 1)
    assert position.cursor is None
    position.moved("e:2", 1)
    assert position.cursor is None
    position.received("e:2", 1)
    assert position.cursor == "e:2"


def test_a_move_within_a_snapshot_waits_for_both() -> None:
    position = Position()
    position.begin("e:1", 2)
    position.forget()
    position.moved("e:2", 1)
    position.received(None, 1)
    position.received(None, 1)
    assert position.cursor is None
    position.received(None, 1)
    assert position.cursor == "e:2"


def test_a_refused_move_needs_a_new_cursor() -> None:
    position = Position("e:1")
    position.forget()
    position.refused()
    assert position.cursor is None
    position.received("e:2", 1)
    assert position.cursor == "e:2"


def test_a_layer_whose_snapshot_is_not_complete_spoils_them_all() -> None:
    position = Position()
    position.begin({"a": "a:1", "b": "b:1"}, 2)
    position.received("a:1", 1, "a")
    assert position.cursor is None
    position.received("b:1", 1, "b")
    assert position.cursor == {"a": "a:1", "b": "b:1"}


def test_an_empty_layer_has_the_cursor_of_the_ack() -> None:
    position = Position()
    position.begin({"a": "a:1", "b": "b:7"}, 1)
    position.received("a:1", 1, "a")
    assert position.cursor == {"a": "a:1", "b": "b:7"}
