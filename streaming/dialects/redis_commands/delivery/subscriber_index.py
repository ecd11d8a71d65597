"""The subscribers of one channel, pattern or layer, found by where a value is.

Boxes are indexed per CRS in which they are meant: of five hundred subscribers with boxes of their own, a point is tested against the few
around it. A candidate only may want the value; its filters decide.
"""

from __future__ import annotations

from collections.abc import Collection

from streaming.core.bbox import Box
from streaming.core.index import BoxIndex

from ..geojson.crs import Crs
from ..geojson.spatial_filter import ProjectedGeometries
from ..geojson.values import Value
from .subscribers import Subscriber

MANY = 64
"""A collection of more features than this is looked up by the bounds of them all."""
_METRES = 180.0 / 20_037_509.0
"""Scales the plane of Web Mercator, and most others, to the index's world; what is beyond is at its edge."""


class SubscriberIndex:
    """Subscribers, each with the client reference of its subscription."""

    __slots__ = ("_boxes", "_codes", "_everywhere", "references")

    def __init__(self) -> None:
        self.references: dict[Subscriber, str | None] = {}
        self._everywhere: dict[Subscriber, None] = {}
        """Those without a box."""
        self._boxes: dict[int, tuple[Crs, BoxIndex[Subscriber]]] = {}
        self._codes: dict[Subscriber, int] = {}
        """The EPSG code in which the box of each is indexed."""

    def __len__(self) -> int:
        return len(self.references)

    @property
    def has_boxes(self) -> bool:
        """Whether one of the subscribers has a box."""
        return bool(self._boxes)

    def add(self, subscriber: Subscriber, reference: str | None) -> None:
        """Add a subscriber, or give it another reference."""
        known = subscriber in self.references
        self.references[subscriber] = reference
        if not known:
            self._add_box(subscriber)
            subscriber.indexes[self] = None
            subscriber.revision += 1

    def remove(self, subscriber: Subscriber) -> None:
        """Remove a subscriber; KeyError if it is not there."""
        del self.references[subscriber]
        self._remove_box(subscriber)
        del subscriber.indexes[self]
        subscriber.revision += 1

    def update(self, subscriber: Subscriber) -> None:
        """Its box has changed."""
        self._remove_box(subscriber)
        self._add_box(subscriber)

    def candidates(self, value: Value) -> Collection[Subscriber]:
        """The subscribers that may want a value, in a collection of the caller's own."""
        if not self._boxes or not value.geometries or any(geometry.passes_always for geometry in value.geometries):
            return list(self.references)
        found = self._everywhere.copy()
        for crs, index in self._boxes.values():
            for bounds in _bounds(value.projected(crs)):
                found.update(dict.fromkeys(index.candidates(_scaled(bounds, crs))))
        return found

    def _add_box(self, subscriber: Subscriber) -> None:
        area = subscriber.filters.area
        if area is None:
            self._everywhere[subscriber] = None
            return
        code = area.crs.code
        if code not in self._boxes:
            self._boxes[code] = area.crs, BoxIndex()
        self._boxes[code][1].add(subscriber, [_scaled(box, area.crs) for box in area.boxes])
        self._codes[subscriber] = code

    def _remove_box(self, subscriber: Subscriber) -> None:
        code = self._codes.pop(subscriber, None)
        if code is None:
            del self._everywhere[subscriber]
            return
        index = self._boxes[code][1]
        index.remove(subscriber)
        if not len(index):
            del self._boxes[code]


def _bounds(projected: ProjectedGeometries) -> list[Box]:
    bounds = [one for one in projected.bounds if one is not None]
    if len(bounds) <= MANY:
        return bounds
    lefts, bottoms, rights, tops = zip(*bounds, strict=True)
    return [(min(lefts), min(bottoms), max(rights), max(tops))]


def _scaled(box: Box, crs: Crs) -> Box:
    """The box in degrees within the world, in the same order along both axes as before."""
    across, up = (1.0, 1.0) if crs.geographic else (_METRES, _METRES / 2)
    left, bottom, right, top = box
    return _clamped(left * across, 180.0), _clamped(bottom * up, 90.0), _clamped(right * across, 180.0), _clamped(top * up, 90.0)


def _clamped(number: float, limit: float) -> float:
    return min(max(number, -limit), limit)
