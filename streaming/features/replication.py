"""Many features out of one: copies beside the original, for shows and load tests.

Copy `n` of a feature always has the same id and the same place relative to the original, so copies move as it does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from .geojson import key_of

if TYPE_CHECKING:
    from .recordings import TimedFeature

SPACING = 0.15  # degrees from the original to its first copy
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def replicate(feature: TimedFeature, times: int) -> Iterator[TimedFeature]:
    """The feature and `times - 1` copies on a spiral around it, with `-1`, `-2`, ... at the end of the id."""
    yield feature
    original = msgspec.json.decode(feature.value)
    original.pop("bbox", None)
    identity, geometry = original["id"], original["geometry"]
    for number in range(1, times):
        copy = {**original, "id": f"{identity}-{number}", "geometry": geometry and _moved(geometry, *_place(number))}
        yield feature._replace(key=key_of(copy["id"]), value=msgspec.json.encode(copy, order="sorted"))


def _place(number: int) -> tuple[float, float]:
    distance, angle = SPACING * math.sqrt(number), number * _GOLDEN_ANGLE
    return distance * math.cos(angle), distance * math.sin(angle)


def _moved(geometry: dict[str, Any], east: float, north: float) -> dict[str, Any]:
    moved = {name: member for name, member in geometry.items() if name != "bbox"}
    if "geometries" in moved:
        moved["geometries"] = [_moved(part, east, north) for part in moved["geometries"]]
    else:
        moved["coordinates"] = _shifted(moved["coordinates"], east, north)
    return moved


def _shifted(coordinates: list[Any], east: float, north: float) -> list[Any]:
    if coordinates and isinstance(coordinates[0], list):
        return [_shifted(part, east, north) for part in coordinates]
    if not coordinates:
        return coordinates
    longitude, latitude, *rest = coordinates
    return [round(min(180.0, max(-180.0, longitude + east)), 6), round(min(90.0, max(-90.0, latitude + north)), 6), *rest]
