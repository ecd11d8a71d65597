"""GeoJSON of any publisher in another CRS: copies of features and geometries, bboxes included.

A geometry that cannot be read, or that has a position which the CRS cannot express, becomes null. Members that GeoJSON does not know are
kept.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from math import isfinite
from typing import Any

import msgspec
from pyproj import Transformer
from pyproj.exceptions import ProjError

from .geometry import KINDS, ParsedGeometry, type_of
from .spatial_filter import ProjectedGeometries


class Reprojection:
    """Copies the features (or the one geometry) of a value into a CRS."""

    def __init__(self, geometries: list[ParsedGeometry], projected: ProjectedGeometries, transformer: Transformer) -> None:
        self._geometries = geometries
        self._projected = projected
        self._transformer = transformer

    def member(self, member: Any, index: int) -> Any:
        """A copy of the feature or geometry with this index; what is neither, as it is."""
        parsed = self._geometries[index]
        if parsed.geometry is member:
            return self._geometry(index)
        if type_of(member) != "Feature":
            return member
        copy = with_bbox(member, self._transformer)
        if parsed.geometry is not None:
            copy["geometry"] = self._geometry(index)
            if copy["geometry"] is None:
                copy.pop("bbox", None)
        return copy

    def _geometry(self, index: int) -> dict[str, Any] | None:
        parsed = self._geometries[index]
        if parsed.invalid or (parsed.positions and self._projected.bounds[index] is None):
            return None
        positions = self._projected.positions(index)
        coordinates = (part.replaced(positions) for part in parsed.parts)
        return _copied(parsed.geometry, coordinates.__next__, self._transformer)


def _copied(geometry: dict[str, Any], coordinates: Callable[[], Any], transformer: Transformer) -> dict[str, Any]:
    kind = type_of(geometry)
    if kind not in KINDS:
        return geometry
    copy = with_bbox(geometry, transformer)
    if kind == "GeometryCollection":
        copy["geometries"] = [_copied(member, coordinates, transformer) for member in geometry["geometries"]]
    else:
        copy["coordinates"] = coordinates()
    return copy


def with_bbox(member: dict[str, Any], transformer: Transformer) -> dict[str, Any]:
    """A copy whose bbox, if it has one, covers the projected box; without a bbox if the CRS cannot express that."""
    copy = dict(member)
    if "bbox" in copy:
        bbox = _projected_bbox(copy["bbox"], transformer)
        if bbox is None:
            del copy["bbox"]
        else:
            copy["bbox"] = bbox
    return copy


def _projected_bbox(bbox: Any, transformer: Transformer) -> list[float] | None:
    """The corners are checked one by one, because PROJ leaves out of the bounds what it cannot express."""
    try:
        numbers = msgspec.convert(bbox, list[float])
        half = len(numbers) // 2
        if len(numbers) not in (4, 6):
            return None
        left, bottom, right, top = numbers[0], numbers[1], numbers[half], numbers[half + 1]
        corners = transformer.transform([left, left, right, right], [bottom, top, bottom, top])
        box = transformer.transform_bounds(left, bottom, right, top)
    except (msgspec.ValidationError, ProjError):
        return None
    if not all(map(isfinite, chain(*corners, box))):
        return None
    return [*box[:2], *numbers[2:half], *box[2:], *numbers[half + 2 :]]
