"""Conditions in Python's terms and on the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from shapely.geometry import box

from streaming.client.conditions import to_wire

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "wire"),
    [
        ("2026-01-02T12:00:00Z/..", "2026-01-02T12:00:00Z/.."),
        (NOON, "2026-01-02T12:00:00Z"),
        (NOON.replace(tzinfo=None), "2026-01-02T12:00:00Z"),
        ((None, NOON), "../2026-01-02T12:00:00Z"),
        ((NOON.astimezone(timezone(timedelta(hours=1))), None), "2026-01-02T12:00:00Z/.."),
    ],
)
def test_times_become_an_interval(given: Any, wire: str) -> None:
    assert to_wire({"datetime": given}) == {"datetime": wire}


def test_filters_may_be_a_mapping_or_pairs() -> None:
    assert to_wire({"filters": {"a": "1"}}) == to_wire({"filters": [("a", "1")]}) == {"filters": [("a", "1")]}


def test_a_circle_is_a_place_and_metres() -> None:
    assert to_wire({"center": [8, 47], "radius_m": 500}) == {"center": (8.0, 47.0), "radius_m": 500}


def test_a_geometry_may_be_any_libraries_own() -> None:
    geometry = to_wire({"geometry": box(0, 0, 1, 1)})["geometry"]
    assert (geometry["type"], len(geometry["coordinates"][0])) == ("Polygon", 5)


def test_the_language_of_a_filter_follows_from_its_type() -> None:
    assert to_wire({"filter": "a = 1"})["filter_lang"] == "cql2-text"
    assert to_wire({"filter": {"op": "="}})["filter_lang"] == "cql2-json"


def test_none_removes_and_absent_stays() -> None:
    assert to_wire({"filter": None, "bbox": None}) == {"filter": None, "filter_lang": None, "bbox": None}
    assert to_wire({}) == {}
