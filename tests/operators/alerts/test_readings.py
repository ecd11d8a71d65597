"""The values that rules judge."""

from __future__ import annotations

from typing import Any

import pytest

from streaming.engine.exposition import Family
from streaming.operators.alerts.readings import SITE, Readings, offered_measures, parse_labels, places

from .rules import CLOSED, closed, gauge, rule


def test_a_gauge_is_as_it_is_in_each_process() -> None:
    assert Readings().look([gauge("a", 0.5), gauge("b", 2)], [rule()], 0) == {1: {"a": 0.5, "b": 2}}


def test_of_all_together_it_is_the_sum() -> None:
    assert Readings().look([gauge("a", 0.5), gauge("b", 2)], [rule(scope="site")], 0) == {1: {SITE: 2.5}}


def grown(readings: Readings, now: float, *processes: Any, **changes: Any) -> Any:
    return readings.look(processes, [rule(measure=CLOSED, **changes)], now)[1]


def test_a_counter_is_how_much_it_grew_in_the_last_minute() -> None:
    readings = Readings()
    counts = {0: 100, 30: 104, 60: 104, 90: 105, 120: 105, 150: 105}
    assert [grown(readings, now, closed("a", slow=value))["a"] for now, value in counts.items()] == [0, 4, 4, 1, 1, 0]


def test_series_of_a_process_are_added_up_and_chosen_by_labels() -> None:
    readings = Readings()
    grown(readings, 0, closed("a", slow=1, idle=1))
    assert grown(readings, 5, closed("a", slow=4, idle=3)) == {"a": 5}
    readings = Readings()
    grown(readings, 0, closed("a", slow=1, idle=1))
    assert grown(readings, 5, closed("a", slow=4, idle=3), labels="code=slow") == {"a": 3}


def test_a_counter_of_a_new_process_counts_from_0() -> None:
    readings = Readings()
    grown(readings, 0, closed("a", slow=7))
    assert grown(readings, 5, closed("a", slow=7), closed("b", slow=2)) == {"a": 0, "b": 2}


def test_a_counter_that_began_anew_does_not_shrink() -> None:
    readings = Readings()
    grown(readings, 0, closed("a", slow=7))
    assert grown(readings, 5, closed("a", slow=1)) == {"a": 0}


def test_a_measure_that_there_is_not_has_no_values() -> None:
    assert Readings().look([gauge("a", 1, "geostream_other")], [rule(measure="geostream_other")], 0) == {}


def test_processes_are_named_by_their_places() -> None:
    info = Family("geostream_node_info", "", "gauge", [("geostream_node_info", {"node": "a", "host": "maps", "pid": "7"}, 1)])
    assert places([[info], gauge("b", 1)]) == {"a": "maps:7"}


def test_labels_are_read() -> None:
    assert parse_labels(' code = slow , dialect="geo",') == {"code": "slow", "dialect": "geo"}


@pytest.mark.parametrize("text", ["slow", "code=", "=slow", "code=slow, x"])
def test_bad_labels_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a label and its value"):
        parse_labels(text)


def test_measures_of_parts_and_of_the_system_are_offered() -> None:
    assert {"geostream_feed_lag", "geostream_process_workers", "process_resident_memory_bytes"} <= offered_measures().keys()
