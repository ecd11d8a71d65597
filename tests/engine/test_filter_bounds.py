"""The bounds of filters, as the admin draws them."""

from __future__ import annotations

from typing import Any

import pytest

from streaming.engine.filter_bounds import filter_bounds


@pytest.mark.parametrize(
    ("conditions", "bounds"),
    [
        ({}, None),
        ({"bbox": [1, 2, 3, 4]}, (1, 2, 3, 4)),
        ({"bbox": [1, 2, 0, 3, 4, 9]}, (1, 2, 3, 4)),
        ({"bbox": [170, -10, -170, 10]}, (170, -10, -170, 10)),
        ({"bbox": [100_000, 200_000, 300_000, 400_000]}, None),
        ({"bbox": "…"}, None),
        ({"bbox": [1, 2]}, None),
        ({"geometry": {"type": "Polygon", "coordinates": [[[0, 1], [5, 1], [5, 6], [0, 1]]]}}, (0, 1, 5, 6)),
        ({"geometry": {"type": "Point", "coordinates": []}}, None),
        ({"geometry": "…"}, None),
    ],
)
def test_a_filter_with_a_place_has_bounds(conditions: dict[str, Any], bounds: Any) -> None:
    assert filter_bounds(conditions) == bounds


def test_a_circle_is_in_its_bounds() -> None:
    bounds = filter_bounds({"center": [8.0, 47.0], "radius_m": 111_320.0})
    assert bounds == pytest.approx((8 - 1.466, 46, 8 + 1.466, 48), abs=0.01)
