"""Who listens to one channel, or to the channels of one pattern, and which of them a value may concern.

Boxes are indexed per CRS in which they are meant: of five hundred listeners with boxes of their own, a point is tested against the few
around it. A candidate only may want the value; its filters decide.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from streaming.core.index import BoxIndex
from streaming.core.items import Box

from ..geojson.client_filters import Value
from ..geojson.crs import Crs
from ..geojson.spatial_filter import Placing

if TYPE_CHECKING:
    from .subscribers import Listener

MANY = 64
"""A collection of more features than this is looked up by the bounds of them all."""
_METRES = 180.0 / 20_037_509.0
"""Squeezes the plane of Web Mercator, and most others, into the index's world; what is beyond is at its edge."""


class Audience:
    """Listeners, each with the reference it gave."""

    __slots__ = ("_boxes", "_everywhere", "_places", "references")

    def __init__(self) -> None:
        self.references: dict[Listener, str | None] = {}
        self._everywhere: dict[Listener, None] = {}
        self._boxes: dict[int, tuple[Crs, BoxIndex[Listener]]] = {}
        self._places: dict[Listener, int] = {}

    def __len__(self) -> int:
        return len(self.references)

    @property
    def boxed(self) -> bool:
        """Whether one of them has a box."""
        return bool(self._boxes)

    def add(self, listener: Listener, reference: str | None) -> None:
        """From now on it is one of them; or gives another reference."""
        known = listener in self.references
        self.references[listener] = reference
        if not known:
            self._place(listener)
            listener.audiences[self] = None
            listener.revision += 1

    def remove(self, listener: Listener) -> None:
        """It is not one of them any more; KeyError if it was not."""
        del self.references[listener]
        self._displace(listener)
        del listener.audiences[self]
        listener.revision += 1

    def moved(self, listener: Listener) -> None:
        """Its box is another one."""
        self._displace(listener)
        self._place(listener)

    def candidates(self, value: Value) -> Collection[Listener]:
        """Those that may want a value, in a collection of the caller's own."""
        if not self._boxes or not value.places or any(place.anywhere for place in value.places):
            return list(self.references)
        found = self._everywhere.copy()
        for crs, index in self._boxes.values():
            for bounds in _bounds(value.placing(crs)):
                found.update(dict.fromkeys(index.candidates(_fitted(bounds, crs))))
        return found

    def _place(self, listener: Listener) -> None:
        area = listener.filters.area
        if area is None:
            self._everywhere[listener] = None
            return
        code = area.crs.code
        if code not in self._boxes:
            self._boxes[code] = area.crs, BoxIndex()
        self._boxes[code][1].add(listener, [_fitted(box, area.crs) for box in area.boxes])
        self._places[listener] = code

    def _displace(self, listener: Listener) -> None:
        code = self._places.pop(listener, None)
        if code is None:
            del self._everywhere[listener]
            return
        index = self._boxes[code][1]
        index.remove(listener)
        if not len(index):
            del self._boxes[code]


def _bounds(placing: Placing) -> list[Box]:
    bounds = [one for one in placing.bounds if one is not None]
    if len(bounds) <= MANY:
        return bounds
    lefts, bottoms, rights, tops = zip(*bounds, strict=True)
    return [(min(lefts), min(bottoms), max(rights), max(tops))]


def _fitted(box: Box, crs: Crs) -> Box:
    """A box in degrees within the world, in the same order along both axes as before."""
    across, up = (1.0, 1.0) if crs.geographic else (_METRES, _METRES / 2)
    left, bottom, right, top = box
    return _within(left * across, 180.0), _within(bottom * up, 90.0), _within(right * across, 180.0), _within(top * up, 90.0)


def _within(place: float, limit: float) -> float:
    return min(max(place, -limit), limit)
