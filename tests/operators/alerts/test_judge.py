"""When alerts fire, and when they are resolved."""

from __future__ import annotations

from typing import Any

import pytest

from streaming.models import Alert
from streaming.operators.alerts.judge import LONGEST_PAUSE_SECONDS, Judge

from .rules import rule

Told = list[tuple[float, bool]]


def judged(values: list[float | None], judge: Judge | None = None, **changes: Any) -> Told:
    """The times at which an alert fires or is resolved, given its value every ten seconds."""
    judge = judge or Judge()
    told = []
    for look, value in enumerate(values):
        found = judge.look([rule(**changes)], {1: {} if value is None else {"a": value}}, look * 10.0)
        told += [(look * 10.0, change.fires) for change in found]
    return told


def test_it_fires_when_the_bound_was_broken_for_the_time() -> None:
    assert judged([11, 11, 11, 11]) == [(20, True)]


def test_at_the_bound_it_is_well() -> None:
    assert judged([10] * 9) == []


def test_without_a_time_it_fires_at_once() -> None:
    assert judged([0, 11], for_seconds=0) == [(10, True)]


def test_a_moment_of_peace_begins_the_time_anew() -> None:
    assert judged([11, 11, 9, 11, 11, 11]) == [(50, True)]


def test_it_is_resolved_when_it_was_well_for_the_time() -> None:
    assert judged([11, 11, 11, 9, 9, 9, 9]) == [(20, True), (60, False)]


def test_a_value_around_the_bound_does_not_flap() -> None:
    assert judged([11, 11, 11, *[9, 11] * 20]) == [(20, True)]


def test_between_the_bounds_it_goes_on_firing() -> None:
    assert judged([11, 11, 11, *[8] * 9, *[4] * 4], clear_bound=5) == [(20, True), (150, False)]


def test_below_works_the_other_way_round() -> None:
    assert judged([9, 9, 9, 11, 11, 11, 11], comparison="below") == [(20, True), (60, False)]


def test_a_process_that_is_gone_is_well() -> None:
    assert judged([11, 11, 11, None, None, None, None]) == [(20, True), (60, False)]


def test_what_another_leader_has_left_is_resolved_and_does_not_fire_twice() -> None:
    left = Alert(rule_id=1, node="a", value=12, worst=12)
    assert judged([11, 11, 11, 9, 9, 9, 9], Judge([left])) == [(60, False)]


@pytest.mark.parametrize("gone", [[], [rule(2)]])
def test_an_alert_without_its_rule_is_resolved_at_once(gone: list[Any]) -> None:
    judge = Judge([Alert(rule_id=1, node="a", value=12, worst=12)])
    assert [change.fires for change in judge.look(gone, {}, 0)] == [False]
    assert judge.look(gone, {}, 1) == []


def test_while_nobody_looked_no_time_passes() -> None:
    judge = Judge()
    assert judge.look([rule()], {1: {"a": 11}}, 0) == []
    assert judge.look([rule()], {1: {"a": 11}}, LONGEST_PAUSE_SECONDS + 1) == []


def test_the_worst_value_is_remembered() -> None:
    judge = Judge()
    for time, value in enumerate((11, 17, 12)):
        judge.look([rule(for_seconds=0)], {1: {"a": value}}, time)
    (change,) = judge.look([rule(clear_seconds=0)], {1: {"a": 3}}, 9)
    assert (change.fires, change.value, change.worst) == (False, 3, 17)


def test_processes_are_judged_each_for_itself() -> None:
    changes = Judge().look([rule(for_seconds=0)], {1: {"a": 11, "b": 9, "c": 12}}, 0)
    assert [change.node for change in changes] == ["a", "c"]
