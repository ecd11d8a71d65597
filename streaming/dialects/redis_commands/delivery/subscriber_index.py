"""The subscribers of one channel, pattern or layer, found by where a value is.

Boxes are indexed per CRS in which they are meant: of five hundred subscribers with boxes of their own, a point is tested against the few
around it. A candidate only may want the value; its filters decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable

from streaming.core.bbox import Box
from streaming.core.index import BoxIndex

from ..geojson.client_filters import Sight
from ..geojson.crs import Crs
from ..geojson.spatial_filter import PlaceOfFew, Places
from ..geojson.values import Value
from .subscribers import Subscriber

MANY = 64
"""A collection of more features than this is looked up by the bounds of them all."""
BOXES_OF_ANSWER = 16
"""Boxes that take as long to compare with a value as one projection of it."""
_METRES = 180.0 / 20_037_509.0
"""Scales the plane of Web Mercator, and most others, to the index's world; what is beyond is at its edge."""


class SubscriberIndex:
    """Subscribers, each with the client reference of its subscription."""

    __slots__ = ("_answers", "_boxes", "_changed", "_codes", "_everywhere", "_sights", "references")

    def __init__(self) -> None:
        self.references: dict[Subscriber, str | None] = {}
        self._everywhere: dict[Subscriber, None] = {}
        """Those without a box."""
        self._boxes: dict[int, tuple[Crs, BoxIndex[Subscriber]]] = {}
        self._codes: dict[Subscriber, int] = {}
        """The EPSG code in which the box of each is indexed."""
        self._sights: dict[Subscriber, Sight] = {}
        self._changed: dict[Subscriber, None] = {}
        self._answers = Counter[Hashable]()
        """How many subscribers a value looks alike for."""

    def __len__(self) -> int:
        return len(self.references)

    @property
    def answers(self) -> float:
        """How much work a value is, roughly: one for each way in which it is seen, and a little for each box."""
        if self._changed:
            self._update()
        return len(self._answers) + len(self._codes) / BOXES_OF_ANSWER

    @property
    def has_boxes(self) -> bool:
        """Whether one of the subscribers has a box."""
        if self._changed:
            self._update()
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
        subscriber.flush({})
        self._remove_box(subscriber)
        del subscriber.indexes[self]
        subscriber.revision += 1

    def update(self, subscriber: Subscriber) -> None:
        """Its filters have changed: found out before the next message, however often they change until then."""
        self._changed[subscriber] = None

    def _update(self) -> None:
        changed, self._changed = self._changed, {}
        for subscriber in changed:
            if subscriber in self.references:
                self._remove_box(subscriber)
                self._add_box(subscriber)

    def candidates(self, value: Value) -> Collection[Subscriber]:
        """The subscribers that may want a value, in a collection of the caller's own."""
        if self._changed:
            self._update()
        if not self._boxes or value.passes_always:
            return list(self.references)
        found = self._everywhere.copy()
        for crs, index in self._boxes.values():
            for bounds in _bounds(value.places(crs)):
                found.update(dict.fromkeys(index.candidates(_scaled(bounds, crs))))
        return found

    def _add_box(self, subscriber: Subscriber) -> None:
        sight = self._sights[subscriber] = subscriber.filters.sight
        self._answers[sight.answer] += 1
        area = sight.area
        if area is None:
            self._everywhere[subscriber] = None
            return
        code = area.crs.code
        if code not in self._boxes:
            self._boxes[code] = area.crs, BoxIndex()
        self._boxes[code][1].add(subscriber, [_scaled(box, area.crs) for box in area.boxes])
        self._codes[subscriber] = code

    def _remove_box(self, subscriber: Subscriber) -> None:
        answer = self._sights.pop(subscriber).answer
        self._answers[answer] -= 1
        if not self._answers[answer]:
            del self._answers[answer]
        code = self._codes.pop(subscriber, None)
        if code is None:
            del self._everywhere[subscriber]
            return
        index = self._boxes[code][1]
        index.remove(subscriber)
        if not len(index):
            del self._boxes[code]


def _bounds(places: Places | PlaceOfFew) -> list[Box]:
    bounds = places.bounds()
    if isinstance(bounds, list):
        return bounds
    if len(bounds) <= MANY:
        return [(left, bottom, right, top) for left, bottom, right, top in bounds.tolist()]
    lefts, bottoms, rights, tops = bounds.T
    return [(float(lefts.min()), float(bottoms.min()), float(rights.max()), float(tops.max()))]


def _scaled(box: Box, crs: Crs) -> Box:
    """The box in degrees within the world, in the same order along both axes as before."""
    across, up = (1.0, 1.0) if crs.geographic else (_METRES, _METRES / 2)
    left, bottom, right, top = box
    return _clamped(left * across, 180.0), _clamped(bottom * up, 90.0), _clamped(right * across, 180.0), _clamped(top * up, 90.0)


def _clamped(number: float, limit: float) -> float:
    return min(max(number, -limit), limit)
