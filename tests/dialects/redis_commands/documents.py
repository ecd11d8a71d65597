"""GeoJSON to test with, and what becomes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streaming.dialects.redis_commands.geojson.client_filters import ClientFilters
from streaming.dialects.redis_commands.geojson.crs import Crs, build
from streaming.dialects.redis_commands.geojson.values import Value

Box = tuple[float, float, float, float]
BOX: Box = (1.0, 2.0, 3.0, 4.0)
SQUARE = [[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]


def crs(code: int) -> Crs:
    found = build(code)
    assert isinstance(found, Crs)
    return found


MERCATOR, SWISS, UTM32, ETRS89 = map(crs, (3857, 2056, 25832, 4258))


def geometry(kind: str, coordinates: Any, **members: Any) -> dict[str, Any]:
    return {"type": kind, "coordinates": coordinates, **members}


def feature(where: Any, **members: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": {}, "geometry": where, **members}


def collection(*features: Any, **members: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features), **members}


def point(x: float, y: float) -> dict[str, Any]:
    return feature(geometry("Point", [x, y]))


def value(document: Any) -> Value:
    return Value(json.dumps(document).encode())


def boxed(box: Box = BOX, meant: Crs | None = None) -> ClientFilters:
    filters = ClientFilters()
    filters.set_box(box, meant)
    return filters


def passes(document: Any, box: Box = BOX, meant: Crs | None = None) -> bool:
    return boxed(box, meant).passes(value(document))


def shown(document: Any, to: Crs = MERCATOR) -> Any:
    return strictly(value(document).content(to))


def strictly(text: bytes) -> Any:
    """As a browser reads it: ValueError for NaN and Infinity."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


def near(numbers: list[float]) -> Any:
    return pytest.approx(numbers, rel=1e-9, abs=1e-6)
