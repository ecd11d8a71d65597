"""Sums, means and extremes of numbers that come and go."""

from __future__ import annotations

import math
from array import array
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from streaming.features.aggregates import exact_numbers
from streaming.features.aggregates.bulk import grouped
from streaming.features.aggregates.exact_numbers import ExactNumbers, as_number

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
STEPS = st.lists(st.tuples(st.booleans(), st.one_of(FLOATS, st.sampled_from([0.1, -0.0, 1e308, 5e-324, 2.0**53]))), max_size=60)


def recount(numbers: list[float]) -> dict[str, Any]:
    total = sum(map(Fraction, numbers), Fraction(0))
    return {
        "count": len(numbers),
        "sum": rounded(total),
        "mean": rounded(total / len(numbers)) if numbers else None,
        "min": min(numbers, default=None),
        "max": max(numbers, default=None),
    }


def rounded(number: Fraction) -> float | None:
    try:
        return float(number)
    except OverflowError:
        return None


@given(STEPS)
def test_what_is_said_is_what_a_recount_finds(steps: list[tuple[bool, float]]) -> None:
    exact_numbers.CHUNK = 4
    numbers, there = ExactNumbers(), list[float]()
    for leaves, number in steps:
        if leaves and there:
            gone = there.pop(hash(number) % len(there))
            numbers.remove(gone)
        else:
            there.append(number)
            numbers.add(number)
        assert numbers.summary() == recount(there)
        assert list(numbers) == sorted(there)


@given(st.lists(st.tuples(st.integers(0, 2), st.one_of(st.just(math.nan), FLOATS))))
@example([(0, 1e308), (0, 1e308), (0, -1e308), (1, 5e-324)])
def test_many_at_once_are_the_same_as_one_by_one(members: list[tuple[int, float]]) -> None:
    groups = np.array([group for group, _ in members], np.int64)
    values = np.array([value for _, value in members], np.float64)
    for group, numbers in enumerate(grouped(values, groups, 3)):
        there = [value for of, value in members if of == group and not math.isnan(value)]
        assert numbers.summary() == recount(there)
        numbers.add(0.1)
        numbers.remove(0.1)
        assert numbers.summary() == recount(there)


def test_a_sum_does_not_drift() -> None:
    numbers = ExactNumbers()
    for _ in range(1000):
        numbers.add(1e16)
        numbers.add(0.1)
        numbers.remove(1e16)
    assert numbers.summary()["sum"] == math.fsum([0.1] * 1000)


def test_whole_numbers_are_written_without_a_point() -> None:
    assert str(ExactNumbers.of(array("d", [2.0, 3.0]), 5, 0).summary()) == "{'count': 2, 'max': 3, 'mean': 2.5, 'min': 2, 'sum': 5}"


def test_only_numbers_are_summed_up() -> None:
    assert [as_number(value) for value in (1, 1.5, True, "1", None, [1], {})] == [1.0, 1.5, None, None, None, None, None]
