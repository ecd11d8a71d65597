"""CQL2 filters: what can be said, what is refused, and what must not end or stall the process."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.attributes import compile_attributes
from streaming.core.cql2_check import OPERATORS
from streaming.core.errors import StreamError
from streaming.core.expressions import compile_expression
from streaming.core.filters import FilterSpec, compile_filter
from tests.core.test_filters import item, point

BUS: dict[str, Any] = {
    "name": "Bus A", "speed": 7, "on": True, "note": None, "tags": ["a", "b"], "t": "2024-05-01T00:00:00Z", "nest": {"x": 1},
}  # fmt: skip


def matches(expression: str | dict[str, Any]) -> bool:
    return compile_filter(FilterSpec(filter=expression)).matches(point(10, 20, **BUS))


def refusal(expression: Any, language: str | None = None) -> str:
    with pytest.raises(StreamError) as caught:
        compile_expression(expression, language)
    assert caught.value.code == "invalid_filter"
    return caught.value.message


@pytest.mark.parametrize(
    "expression",
    [
        "speed = 7",
        "speed BETWEEN 7 AND 8 AND name <> 'x'",
        "speed IN (6, 7)",
        "speed * 2 + 1 = 15",
        "name LIKE 'Bus%'",
        "CASEI(name) = CASEI('BUS a')",
        "on = true",
        "on",
        "note IS NULL AND missing IS NULL AND speed IS NOT NULL",
        "missing = 1 OR speed = 7",
        "nest.x = 1",
        "id = 'a'",
        "A_CONTAINS(tags, ('a'))",
        "name BETWEEN 'Bus' AND 'Bus B'",
        "speed NOT BETWEEN 8 AND 9",
        "CASEI(name) BETWEEN 'bus' AND 'bus b'",
        "CASEI(name) IN (CASEI('BUS A'), CASEI('x'))",
        "speed IN (5, speed)",
        "floor(speed / 2) = 3",
        "CEIL(speed / 2) = 4 AND abs(-speed) = 7 AND round(speed / 2) = 4",
        "length(upper(name)) = 5",
        "floor(floor(speed / 2) / 2) + 1 = 2",
        "floor(missing) IS NULL",
        "t = DATE('2024-05-01') AND t <> DATE('2024-04-30') AND DATE('2024-04-30') < t",
        "T_INTERSECTS(t, INTERVAL('2024-05-01', '2024-05-01'))",
        "S_DWITHIN(geometry, POINT(10 20.001), 120)",
        "S_DWITHIN(LINESTRING(9 20.001, 11 20.001), geometry, 120) AND NOT S_DWITHIN(geometry, LINESTRING(9 20.001, 11 20.001), 100)",
        "s_dwithin(POINT(10 20.001), geometry, 120) AND NOT S_DWITHIN(geometry, POINT(10 20.001), 100)",
        "S_INTERSECTS(geometry, BBOX(0, 0, 10, 20))",
        "S_INTERSECTS(geometry, BBOX(0, 0, -100, 10, 20, 100)) AND S_DISJOINT(geometry, BBOX(20, 0, 0, -20, 20, 9))",
        "S_WITHIN(geometry, POLYGON((0 0, 20 0, 20 30, 0 30, 0 0)))",
        "t > TIMESTAMP('2024-01-01T00:00:00Z')",
        "T_DURING(t, INTERVAL('2024-01-01T00:00:00Z', '..'))",
        "T_BEFORE(t, DATE('2025-01-01'))",
    ],
)
def test_it_matches(expression: str) -> None:
    assert matches(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "speed > 7",
        "missing = 1",
        "S_DWITHIN(missing, POINT(0 0), 5)",
        "NOT S_DWITHIN(missing, POINT(0 0), 5)",
        "NOT floor(name) = 1",
        "NOT (missing = 1)",
        "speed = '7'",
        "name > 5",
        "speed = 7 AND missing = 1",
        "missing",
    ],
)
def test_what_is_false_or_cannot_be_decided_does_not_match(expression: str) -> None:
    assert not matches(expression)


def test_a_property_goes_before_a_member_of_the_same_name() -> None:
    assert compile_filter(FilterSpec(filter="type = 'tram' AND id = 5")).matches(item(type="tram", id=5))


def test_a_name_with_a_dot_is_a_property_or_a_way_into_an_object() -> None:
    assert compile_expression('"a.b" = 1').matches({"a.b": 1})
    assert compile_filter(FilterSpec(filter='"a.b" = 1 AND "nest.x" = 2')).matches(item(**{"a.b": 1, "nest": {"x": 2}}))
    assert not compile_expression('"a.b" = 1').matches({"a": 1})


def test_a_feature_without_properties_or_geometry_does_not_match() -> None:
    assert not compile_filter(FilterSpec(filter="S_INTERSECTS(geometry, POINT(0 0))")).matches(item())


@pytest.mark.parametrize(
    ("expression", "members"),
    [
        ("a > .5 AND a < 5.e-1 + 1", {"a": 1}),
        ("S_INTERSECTS(p, POINT(1e1 2.5E-1))", {"p": {"type": "Point", "coordinates": [10, 0.25]}}),
        ("S_INTERSECTS(p, LINESTRING(-1e-7 -.5, +.1 1E0))", {"p": {"type": "Point", "coordinates": [-1e-7, -0.5]}}),
        ('_a = 1 AND :b = 2 AND "_a" = 1', {"_a": 1, ":b": 2}),
        ("_a LIKE 'it\\'s%' AND _a = 'it''s .5e3 _b'", {"_a": "it's .5e3 _b"}),
        ("S_DWITHIN(_p, POINT(.5 0), 1e2)", {"_p": {"type": "Point", "coordinates": [0.5, 0]}}),
    ],
)
def test_spellings_of_the_standard_that_the_parser_does_not_know(expression: str, members: dict[str, Any]) -> None:
    assert compile_expression(expression).matches(members)


def test_what_is_wrong_besides_is_named() -> None:
    assert "')' at column 15 cannot be read" in refusal("a > .5 AND b )")


SAMPLE = {
    "truth": "1 = 1",
    "scalar": "1",
    "list": "(1, 2)",
    "geometry": "POINT(0 0)",
    "time": "INTERVAL('2024-01-01T00:00:00Z', '2024-02-01T00:00:00Z')",
    "any": "1",
}


@pytest.mark.parametrize("name", [name for name in OPERATORS if name.startswith(("s_", "t_", "a_")) and name != "s_dwithin"])
def test_the_library_evaluates_every_function_that_is_accepted(name: str) -> None:
    arguments = ", ".join(SAMPLE[kind] for kind in OPERATORS[name][1])
    expression = compile_expression(f"{name}({arguments})")
    assert expression._matches({}) in (True, False)  # without the mercy of "cannot decide"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("speed >", "missing at column 8"),
        ("", "missing at column 1"),
        ("name = 'x", "column 8"),
        ("reverse(name) = 'BUS'", "no operator or function 'reverse'"),
        ("S_DWITHIN(geometry, POINT(0 0))", "s_dwithin takes 3 arguments, not 2"),
        ("S_DWITHIN(POINT(0 0), LINESTRING(0 0, 1 1), 5)", "S_DWITHIN takes a property that holds a geometry, a literal geometry"),
        ("S_DWITHIN(geometry, geometry, 5)", "S_DWITHIN takes a property that holds a geometry, a literal geometry"),
        ("S_DWITHIN(geometry, LINESTRING(0 0, 1 1), 0)", "radius_m must be a number of metres above 0"),
        ("S_DWITHIN(geometry, BBOX(0, 10, 5, 1), 5)", "BBOX: south (10.0) is greater than north (1.0)"),
        ("S_DWITHIN(geometry, POINT(0 0), speed)", "a number of metres"),
        ("S_DWITHIN(geometry, POINT(0 0), 0)", "radius_m must be a number of metres above 0"),
        ("S_DWITHIN(geometry, POINT(0 0), 1e9)", "at most 20004000"),
        ("S_INTERSECTS(geometry, BBOX(-190, 0, 0, 1))", "BBOX: west is -190.0, outside -180 to 180 degrees"),
        ("S_INTERSECTS(geometry, BBOX(0, 10, 5, 1))", "BBOX: south (10.0) is greater than north (1.0)"),
        ("speed + 1 > TIMESTAMP('2024-01-01T00:00:00Z')", "a time is compared with a property or another time"),
        ("floor('a') = 1", "floor cannot be computed of 'a'"),
        ("speed", None),
        ("5", "the filter must be a condition, not 5"),
        ("'abc'", "must be a condition"),
        ("speed + 1", "must be a condition"),
        ("speed = NULL", "use IS NULL"),
        ("1 = 1 = 1", "argument 2 of = must be a text"),
        ("S_INTERSECTS(geometry, 5)", "argument 2 of s_intersects must be a geometry"),
        ("S_INTERSECTS(geometry, POLYGON((0 0, 1 1, 0 1, 1 0)))", "the ring is not closed"),
        ("S_INTERSECTS(geometry, POINT EMPTY)", "position"),
        ("S_INTERSECTS(geometry, BBOX(0, 0, 0, 1, 1))", "BBOX takes 4 numbers"),
        ("T_AFTER(t, TIMESTAMP('soon'))", "'soon' is not a time"),
        ("T_AFTER(t, 5)", "argument 2 of t_after must be a time or interval"),
    ],
)
def test_a_text_that_cannot_be_evaluated_is_refused_with_its_reason(expression: str, reason: str | None) -> None:
    if reason is None:
        compile_expression(expression)
    else:
        assert reason in refusal(expression)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ({}, "cql2-json"),
        ({"op": "foo", "args": [1]}, "no operator or function 'foo'"),
        ({"op": "=", "args": [1]}, "= takes 2 arguments, not 1"),
        ({"op": "not", "args": [{"op": "+", "args": [1, 2]}]}, "argument 1 of not must be a condition"),
        ({"op": "=", "args": [{"property": "a"}, float("nan")]}, "nan is not a finite number"),
    ],
)
def test_a_json_expression_that_cannot_be_evaluated_is_refused(expression: Any, reason: str) -> None:
    assert reason in refusal(expression)


def test_the_positions_of_literal_geometries_are_bounded() -> None:
    def line(positions: int) -> str:
        return f"S_INTERSECTS(geometry, LINESTRING({', '.join(f'{x * 0.01:.2f} 1' for x in range(positions))}))"

    compile_expression(line(1900))
    assert "2,000" in refusal(line(2100))
    assert "2,000" in refusal(" or ".join([line(700)] * 3))


def test_a_json_expression_nested_too_deeply_is_refused() -> None:
    expression: dict[str, Any] = {"op": "=", "args": [1, 1]}
    for _ in range(5000):
        expression = {"op": "not", "args": [expression]}
    assert "nested too deeply" in refusal(expression)


def test_an_unknown_language_is_refused() -> None:
    assert "cql2-text, cql2-json" in refusal("a = 1", "ecql")
    assert "is a text" in refusal({"op": "=", "args": [1, 1]}, "cql2-text")


def test_json_may_come_as_text() -> None:
    assert compile_expression('{"op":"=","args":[1,1]}', "cql2-json").matches({})


def test_the_same_expression_is_parsed_once() -> None:
    assert compile_expression("speed > 5") is compile_expression("speed > 5")


def test_too_long_an_expression_is_refused() -> None:
    assert "longer than the 65536 bytes" in refusal("a = '" + "x" * 65536 + "'")


def test_the_message_about_a_long_text_does_not_repeat_it() -> None:
    assert len(refusal("a = 1 AND " * 500 + "$")) < 500


@pytest.mark.parametrize(
    "text",
    [
        "(" * 9000 + "a = 1" + ")" * 9000,
        "NOT " * 9000 + "a",
        "-" * 30000 + "1 = 1",
        "+".join(["1"] * 30000) + " = 1",
        "casei(" * 9000 + "a" + ")" * 9000 + " = 'a'",
        "a IN (" * 9000 + "1" + ")" * 9000,
        "+ and ".join(["1"] * 9000),
        "+a:and".join(["1"] * 9000),
        "1-'(a, ' " * 7000,
        "(')' = " * 5000,
    ],
)
def test_a_text_that_would_overflow_the_stack_is_refused(text: str) -> None:
    refusal(text)


@pytest.mark.parametrize(
    "text", ["(1 and " * 30 + ")" * 30, "(" * 30 + "a = 1 $" + ")" * 30, "not (" * 30 + "$", "f((1 and " * 30 + "))" * 30]
)
def test_a_text_that_would_take_for_ever_is_refused_at_once(text: str) -> None:
    start = time.process_time()
    refusal(text)
    assert time.process_time() - start < 2


@given(
    st.lists(
        st.sampled_from(["(", ")", "a", "1", " ", "and ", "not ", "=", "-", "'", '"', ",", "f(", "in ", "POINT(", "casei("]), max_size=60
    )
)
def test_any_text_is_compiled_or_refused(parts: list[str]) -> None:
    try:
        compile_expression("".join(parts)).matches({"a": 1})
    except StreamError as error:
        assert error.code == "invalid_filter"


def test_attributes_of_a_plain_dict() -> None:
    condition = compile_attributes([("event_type", "progress")], "percent >= 50")
    assert condition({"event_type": "progress", "percent": 50})
    assert not condition({"event_type": "progress", "percent": 49})
    assert not condition({"event_type": "error", "percent": 50})
    assert not condition({})
    assert compile_attributes()({})


def test_what_the_library_cannot_represent_does_not_match() -> None:
    assert not compile_attributes(filter="a = 1")({"a": 2**70})
