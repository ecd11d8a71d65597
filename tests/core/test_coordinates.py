"""Coordinates, flat and nested."""

from __future__ import annotations

from typing import Any

import pytest

from streaming.core.coordinates import flatten, nest

A, B, C = [1.0, 2.0], [3.0, 4.0, 5.0], [6.0, 7.0]


@pytest.mark.parametrize(
    ("depth", "coordinates", "positions"),
    [
        (0, A, [A]),
        (0, [], []),
        (1, [A, B], [A, B]),
        (1, [], []),
        (2, [[A], [], [B, C]], [A, B, C]),
        (3, [[[A, B], [C]], [], [[]], [[A]]], [A, B, C, A]),
    ],
)
def test_positions_come_in_order_and_go_where_they_were(depth: int, coordinates: Any, positions: list[Any]) -> None:
    flat = flatten(coordinates, depth)
    assert flat == positions
    if flat:
        others = [[-x for x in position] for position in flat]
        nested = nest(iter(others), coordinates, depth)
        assert flatten(nested, depth) == others
        assert nest(iter(flat), nested, depth) == coordinates
