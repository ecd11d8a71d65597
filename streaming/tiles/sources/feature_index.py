"""A spatial index of a layer's features in which a few features can be changed without touching the many others.

Features are kept in segments: features that were added together, projected to the Web Mercator square, with an R-tree.
A change makes a new index with one small segment more, and masks the features that it replaces in the segments they are
in. When there are too many segments, some are merged, so that a feature is seldom moved to a larger one (a
log-structured merge tree). Nothing that a thread may be reading is modified, except for attributes and boxes, which are
made when first needed and are the same in every thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

from streaming.core.bbox import Box
from streaming.core.items import Item
from streaming.tiles.changed_boxes import Positions, boxes_of_change, to_unit_square
from streaming.tiles.mvt import EncodedProperties, encode_properties

GROWTH = 4
"""Each segment is at least so many times as large as all segments after it together."""


class FeatureAttributes(NamedTuple):
    """What a tile has of a feature beside its geometry."""

    key: str
    properties: EncodedProperties
    id: int | None


class FeatureIndex:
    """All features of a layer at one moment."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._parts: tuple[_LivePart, ...] = _appended((), items)

    def updated(self, changes: Mapping[str, Item | None]) -> tuple[FeatureIndex, list[Box]]:
        """The index with other items for these keys (None: deleted), and the boxes in which that can be seen."""
        parts, boxes, new = list(self._parts), list[Box](), list[Item]()
        deleted: dict[int, list[int]] = {}
        for key, item in changes.items():
            place = self._place(key)
            seen_in = boxes_of_change(place and self._parts[place[0]].segment.items[place[1]], item)
            if not seen_in:
                continue
            boxes += seen_in
            if place is not None:
                deleted.setdefault(place[0], []).append(place[1])
            if item is not None:
                new.append(item)
        for number, indexes in deleted.items():
            parts[number] = parts[number].without(indexes)
        index = FeatureIndex(())
        index._parts = _appended(parts, new)
        return index, boxes

    def query(self, square: Box) -> tuple[Any, list[FeatureAttributes]]:
        """Geometries and attributes of the features whose bounds touch this part of the square, ordered by key."""
        found = [(part.segment, part.query(square)) for part in self._parts]
        geometries = np.concatenate([_objects(()), *(segment.geometries[where] for segment, where in found)])
        attributes = [segment.attributes_of(index) for segment, where in found for index in where.tolist()]
        order = sorted(range(len(attributes)), key=lambda index: attributes[index].key)
        return geometries[order], [attributes[index] for index in order]

    @property
    def bounds(self) -> Box | None:
        """The bounds in degrees, None without features."""
        if not self._parts:
            return None
        boxes = np.concatenate([part.segment.boxes[part.alive] for part in self._parts])
        west, south = boxes[:, :2].min(axis=0).tolist()
        east, north = boxes[:, 2:].max(axis=0).tolist()
        return west, south, east, north

    def _place(self, key: str) -> tuple[int, int] | None:
        """The number of the part where a feature is, and its index there. A key is alive in one part at most."""
        for number, part in enumerate(self._parts):
            index = part.segment.index_of.get(key)
            if index is not None and part.alive[index]:
                return number, index
        return None


class _Segment:
    """Features in the order of their keys, with an R-tree."""

    def __init__(self, items: Sequence[Item], geometries: Any, attributes: list[FeatureAttributes | None]) -> None:
        self.items, self.geometries, self.attributes = items, geometries, attributes
        self.index_of = {item.key: index for index, item in enumerate(items)}
        self.tree = shapely.STRtree(geometries)

    def attributes_of(self, index: int) -> FeatureAttributes:
        """The attributes of one feature."""
        attributes = self.attributes[index]
        if attributes is None:
            attributes = self.attributes[index] = _attributes(self.items[index])
        return attributes

    @cached_property
    def boxes(self) -> Positions:
        """The boxes in degrees, a row for each feature."""
        return np.array([item.box for item in self.items], np.float64)


class _LivePart(NamedTuple):
    """A segment, which of its features are still alive, and how many these are."""

    segment: _Segment
    alive: NDArray[np.bool_]
    size: int

    def without(self, indexes: Sequence[int]) -> _LivePart:
        """The part without these features."""
        alive = self.alive.copy()
        alive[indexes] = False
        return _LivePart(self.segment, alive, self.size - len(indexes))

    def query(self, square: Box) -> NDArray[np.int64]:
        """The indexes of the live features whose bounds touch the square, in order."""
        hits = np.sort(self.segment.tree.query(shapely.box(*square)))
        alive: NDArray[np.int64] = hits[self.alive[hits]]
        return alive


def _appended(parts: Iterable[_LivePart], items: Iterable[Item]) -> tuple[_LivePart, ...]:
    """The parts, and one more for new items if there are any; merged where the sizes ask for it."""
    located = sorted((item for item in items if item.box is not None), key=lambda item: item.key)
    kept = [part for part in parts if part.size]
    if located:
        kept.append(_new_part(located, _projected(located), [None] * len(located)))
    for number, part in enumerate(kept):
        following = sum(later.size for later in kept[number + 1 :])
        if part.size < GROWTH * following or 2 * part.size < len(part.alive):
            return (*kept[:number], _merged(kept[number:]))
    return tuple(kept)


def _merged(parts: Sequence[_LivePart]) -> _LivePart:
    alive = [(part.segment, index) for part in parts for index in np.flatnonzero(part.alive).tolist()]
    items = [segment.items[index] for segment, index in alive]
    order = sorted(range(len(items)), key=lambda index: items[index].key)
    geometries = np.concatenate([part.segment.geometries[part.alive] for part in parts])[order]
    attributes = [segment.attributes[index] for segment, index in alive]
    return _new_part([items[index] for index in order], geometries, [attributes[index] for index in order])


def _new_part(items: Sequence[Item], geometries: Any, attributes: list[FeatureAttributes | None]) -> _LivePart:
    return _LivePart(_Segment(items, geometries, attributes), np.ones(len(items), bool), len(items))


def _projected(items: Sequence[Item]) -> Any:
    """The items' geometries on the Web Mercator square."""
    projected = np.empty(len(items), dtype=object)
    points = np.fromiter((item.is_point for item in items), bool, len(items))
    positions = np.array([item.box[:2] for item in items if item.is_point and item.box], np.float64).reshape(-1, 2)
    projected[points] = shapely.points(to_unit_square(positions))
    if not points.all():
        shapes = shapely.transform(_objects([item.geometry for item in items if not item.is_point]), to_unit_square)
        damaged = ~shapely.is_valid(shapes)
        shapes[damaged] = shapely.make_valid(shapes[damaged], method="structure", keep_collapsed=False)
        projected[~points] = shapes
    return projected


def _objects(geometries: Sequence[Any]) -> Any:
    found = np.empty(len(geometries), dtype=object)
    found[:] = geometries
    return found


class _Feature(msgspec.Struct):
    id: Any = None
    properties: dict[str, Any] | None = None


_read = msgspec.json.Decoder(_Feature).decode


def _attributes(item: Item) -> FeatureAttributes:
    """Parsed here, not taken from `item.feature`, which the item would keep although only tiles need it."""
    feature = _read(item.value)
    id, properties = feature.id, feature.properties or {}
    if isinstance(id, int) and not isinstance(id, bool) and 0 <= id < 1 << 64:
        return FeatureAttributes(item.key, encode_properties(properties), id)
    return FeatureAttributes(item.key, encode_properties({"id": id, **properties} if id is not None else properties), None)
