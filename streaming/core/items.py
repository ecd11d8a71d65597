"""Items: one version of one key; and changes: the step from one version to the next.

An item is shared by every view and every waiting message of its process and never changes; what is derived from its bytes
(box, feature, geometry, encoded forms) is made once, when first asked for.
"""

from __future__ import annotations

from typing import Any

import msgspec
import shapely
from shapely.geometry.base import BaseGeometry

from .bbox import Box
from .json_decoding import JsonDecoder


class _Geometry(msgspec.Struct):
    type: str
    coordinates: Any = None
    geometries: list[_Geometry] = []


class _Located(msgspec.Struct):
    geometry: _Geometry | None = None


_decode_located = JsonDecoder[_Located](_Located).decode
_decode_feature = JsonDecoder[dict[str, Any]](dict[str, Any]).decode


class Item(msgspec.Struct, gc=False, eq=False):
    """One version of one key of a feed: its bytes, when they arrived, and lazily what they mean.

    `value` is canonical JSON of a GeoJSON Feature for feature layers; what is no JSON object is not looked into. `arrived` is milliseconds
    since 1970. The garbage collector passes over items (nothing that they hold refers back to them): to look through those of a large layer
    would keep the event loop for tens of milliseconds each time.
    """

    key: str
    value: bytes
    arrived: int
    forms: dict[Any, Any] = {}
    is_point: bool = False
    _box: Box | None = None
    _feature: dict[str, Any] | None = None
    _geometry: BaseGeometry | None = None

    def __post_init__(self) -> None:
        if self.value[:1] != b"{":
            return
        located = _decode_located(self.value).geometry
        if located is None:
            return
        if located.type == "Point":
            x, y = located.coordinates[:2]
            self._box = (x, y, x, y)
            self.is_point = True
        else:
            self._box = _bounds(located)

    @property
    def box(self) -> Box | None:
        """The bounding box in degrees, or None without geometry."""
        return self._box

    @property
    def feature(self) -> dict[str, Any]:
        """The decoded GeoJSON Feature. Never modify it: it is shared."""
        if self._feature is None:
            self._feature = _decode_feature(self.value)
        return self._feature

    @property
    def properties(self) -> dict[str, Any]:
        """The feature's properties (empty if null)."""
        return self.feature.get("properties") or {}

    @property
    def geometry(self) -> BaseGeometry | None:
        """The geometry as a shapely object, or None."""
        if self._geometry is None and self._box is not None:
            if self.is_point:
                self._geometry = shapely.Point(self._box[0], self._box[1])
            else:
                self._geometry = shapely.from_geojson(self.value)  # unlike shape(), it takes positions with and without height
        return self._geometry


def _bounds(geometry: _Geometry) -> Box | None:
    positions: list[tuple[float, float]] = []
    _collect(geometry, positions)
    if not positions:
        return None
    xs, ys = zip(*positions, strict=True)
    return (min(xs), min(ys), max(xs), max(ys))


def _collect(geometry: _Geometry, into: list[tuple[float, float]]) -> None:
    for part in geometry.geometries:
        _collect(part, into)
    stack = [geometry.coordinates] if geometry.coordinates else []
    while stack:
        level = stack.pop()
        if level and isinstance(level[0], list):
            stack.extend(level)
        elif level:
            into.append((level[0], level[1]))


class Change(msgspec.Struct, gc=False, eq=False):
    """A step of one key, as the log has it: `old` is None for a new key, `new` is None for a deletion.

    The garbage collector passes over changes, as over items: the last ones of a feed are kept, and of a busy one these are very many.
    """

    seq: int
    key: str
    old: Item | None
    new: Item | None
    reason: str | None = None
