"""Times: one reading for the time of a feature, `datetime`, CQL2, `replay` and the map, and what is no time."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.datetimes import microseconds, parse_interval
from streaming.core.errors import StreamError
from streaming.core.expressions import compile_expression
from streaming.core.filters import FilterSpec, compile_filter
from tests.core.test_filters import item

VECTORS: list[tuple[Any, float | None]] = json.loads(Path(__file__).with_name("times.json").read_text())["vectors"]
TIMES = [(value, milliseconds) for value, milliseconds in VECTORS if milliseconds is not None]


def iso(milliseconds: float) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{round(milliseconds % 1000 * 1000):06d}Z"


@pytest.mark.parametrize(("value", "milliseconds"), VECTORS)
def test_a_value_is_read_as_the_table_says(value: Any, milliseconds: float | None) -> None:
    assert microseconds(value) == (None if milliseconds is None else round(milliseconds * 1000))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
def test_numbers_that_are_no_times(value: float) -> None:
    assert microseconds(value) is None


@pytest.mark.parametrize(("value", "milliseconds"), [vector for vector in TIMES if -6e13 < vector[1] < 2e14])
def test_every_filter_finds_a_feature_by_its_time_whatever_form_it_has(value: Any, milliseconds: float) -> None:
    subject, moment = item(t=value), iso(milliseconds)
    assert compile_filter(FilterSpec(datetime=moment, time_property="t")).matches(subject)
    for expression in (
        f"t = TIMESTAMP('{moment}')",
        f"TIMESTAMP('{moment}') <= t AND t >= TIMESTAMP('{moment}')",
        f"t BETWEEN TIMESTAMP('1900-01-01T00:00:00Z') AND TIMESTAMP('{moment}')",
        f"t IN (TIMESTAMP('2000-01-01T00:00:00Z'), TIMESTAMP('{moment}'))",
        f"T_EQUALS(t, TIMESTAMP('{moment}'))",
        f"T_INTERSECTS(t, INTERVAL('..', '{moment}'))",
        "T_AFTER(t, TIMESTAMP('1900-01-01T00:00:00Z'))",
    ):
        assert compile_filter(FilterSpec(filter=expression)).matches(subject), expression
        assert not compile_filter(FilterSpec(filter=f"NOT ({expression})")).matches(subject), expression


@pytest.mark.parametrize("value", ["soon", "2018-08", True, 1e300])
def test_what_is_no_time_matches_no_condition_on_times(value: Any) -> None:
    subject = item(t=value)
    assert not compile_filter(FilterSpec(datetime="../..", time_property="t")).matches(subject)
    assert not compile_expression("t > TIMESTAMP('1900-01-01T00:00:00Z')").matches({"t": value})
    assert not compile_expression("NOT (t > TIMESTAMP('1900-01-01T00:00:00Z'))").matches({"t": value})


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2018-08-01", 1533081600, 1533167999.999999),
        ("2018-08-01T05:00", 1533099600, 1533099600),
        ("2018-08-01T05:00:00/2018-08-01T07:00:00,5+0100", 1533099600, 1533103200.5),
        ("../2018-08-01 05:00:00", -math.inf, 1533099600),
        ("20180801/20180801", 1533081600, 1533167999.999999),
    ],
)
def test_the_bounds_of_an_interval_are_read_by_the_same_table(text: str, first: float, last: float) -> None:
    assert parse_interval(text) == (first * 1e6, last * 1e6)


@pytest.mark.parametrize("text", ["soon", "1533099600", "2018-08-01T05:00:00Z/2017-08-01", "a/b/c", ""])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(StreamError) as caught:
        parse_interval(text)
    assert caught.value.code == "invalid_datetime"


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from(["T", " "]), st.sampled_from(["Z", "", "+00:00", "+0000"]))
def test_what_python_writes_is_read_exactly(moment: datetime, separator: str, zone: str) -> None:
    exact = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution)
    assert microseconds(moment.replace(tzinfo=None).isoformat(sep=separator) + zone) == exact


@given(st.text(max_size=30) | st.floats() | st.integers())
def test_anything_is_a_time_or_none(value: Any) -> None:
    assert isinstance(microseconds(value), int | None)
