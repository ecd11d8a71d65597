"""The features of a layer as tiles need them, so that a few of them change without touching the many others.

Features are kept in batches: those that were added together, projected to the Web Mercator square, with a tree to find them. Whoever
changes some gets new `FeatureIndex` with one small batch more; what it replaces is masked out of the batches it was in. Batches are merged
when they are too many, so that each feature is moved to a larger one rarely (a log-structured merge tree). Nothing that a thread may be
reading is ever modified, but for labels and boxes, made when first needed and the same whoever makes them.
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
from streaming.tiles.changed_boxes import boxes_of_change
from streaming.tiles.grid import MAX_LATITUDE
from streaming.tiles.mvt import EncodedProperties, encode_properties

Positions = NDArray[np.float64]
GROWTH = 4
"""Each batch is at least so many times as large as all after it together."""


class FeatureAttributes(NamedTuple):
    """What a tile says of a feature, beside its geometry."""

    key: str
    words: EncodedProperties
    id: int | None


class FeatureIndex:
    """All features of one moment."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._parts: tuple[_Part, ...] = _appended((), items)

    def updated(self, changes: Mapping[str, Item | None]) -> tuple[FeatureIndex, list[Box]]:
        """With other items for these keys (None: without), and the boxes in which that can be seen."""
        parts, boxes, new = list(self._parts), list[Box](), list[Item]()
        gone: dict[int, list[int]] = {}
        for key, item in changes.items():
            place = self._place(key)
            touched = boxes_of_change(place and self._parts[place[0]].batch.items[place[1]], item)
            if not touched:
                continue
            boxes += touched
            if place is not None:
                gone.setdefault(place[0], []).append(place[1])
            if item is not None:
                new.append(item)
        for number, indexes in gone.items():
            parts[number] = parts[number].without(indexes)
        batches = FeatureIndex(())
        batches._parts = _appended(parts, new)
        return batches, boxes

    def found(self, square: Box) -> tuple[Any, list[FeatureAttributes]]:
        """Geometries and labels of those whose bounds touch this part of the Web Mercator square, in the order of their keys."""
        found = [(part.batch, part.found(square)) for part in self._parts]
        geometries = np.concatenate([_objects(()), *(batch.geometries[where] for batch, where in found)])
        labels = [batch.label(index) for batch, where in found for index in where.tolist()]
        order = sorted(range(len(labels)), key=lambda index: labels[index].key)
        return geometries[order], [labels[index] for index in order]

    @property
    def bounds(self) -> Box | None:
        """In degrees; None if there is nothing."""
        if not self._parts:
            return None
        boxes = np.concatenate([part.batch.boxes[part.alive] for part in self._parts])
        west, south = boxes[:, :2].min(axis=0).tolist()
        east, north = boxes[:, 2:].max(axis=0).tolist()
        return west, south, east, north

    def _place(self, key: str) -> tuple[int, int] | None:
        """Number of the part, and place in its batch. A key is alive in one at most."""
        for number, part in enumerate(self._parts):
            index = part.batch.places.get(key)
            if index is not None and part.alive[index]:
                return number, index
        return None


class _Batch:
    """Features in the order of their keys."""

    def __init__(self, items: Sequence[Item], geometries: Any, labels: list[FeatureAttributes | None]) -> None:
        self.items, self.geometries, self.labels = items, geometries, labels
        self.places = {item.key: index for index, item in enumerate(items)}
        self.tree = shapely.STRtree(geometries)

    def label(self, index: int) -> FeatureAttributes:
        """Of one feature."""
        label = self.labels[index]
        if label is None:
            label = self.labels[index] = _label(self.items[index])
        return label

    @cached_property
    def boxes(self) -> Positions:
        """In degrees, a row for each feature."""
        return np.array([item.box for item in self.items], np.float64)


class _Part(NamedTuple):
    """What is still there of a batch, and how many that are."""

    batch: _Batch
    alive: NDArray[np.bool_]
    left: int

    def without(self, indexes: Sequence[int]) -> _Part:
        """The same but for these features."""
        alive = self.alive.copy()
        alive[indexes] = False
        return _Part(self.batch, alive, self.left - len(indexes))

    def found(self, square: Box) -> NDArray[np.int64]:
        """Which of its features touch the square by their bounds, in order."""
        hits = np.sort(self.batch.tree.query(shapely.box(*square)))
        alive: NDArray[np.int64] = hits[self.alive[hits]]
        return alive


def _appended(parts: Iterable[_Part], items: Iterable[Item]) -> tuple[_Part, ...]:
    """With a part for new items, if there are any."""
    located = sorted((item for item in items if item.box is not None), key=lambda item: item.key)
    kept = [part for part in parts if part.left]
    if located:
        kept.append(_part(located, _projected(located), [None] * len(located)))
    for number, part in enumerate(kept):
        following = sum(later.left for later in kept[number + 1 :])
        if part.left < GROWTH * following or 2 * part.left < len(part.alive):
            return (*kept[:number], _merged(kept[number:]))
    return tuple(kept)


def _merged(parts: Sequence[_Part]) -> _Part:
    alive = [(part.batch, index) for part in parts for index in np.flatnonzero(part.alive).tolist()]
    items = [batch.items[index] for batch, index in alive]
    order = sorted(range(len(items)), key=lambda index: items[index].key)
    geometries = np.concatenate([part.batch.geometries[part.alive] for part in parts])[order]
    return _part([items[index] for index in order], geometries, [alive[index][0].labels[alive[index][1]] for index in order])


def _part(items: Sequence[Item], geometries: Any, labels: list[FeatureAttributes | None]) -> _Part:
    return _Part(_Batch(items, geometries, labels), np.ones(len(items), bool), len(items))


def _projected(items: Sequence[Item]) -> Any:
    """Their geometries, from degrees to the square from (0, 0) in the north-west to (1, 1)."""
    projected = np.empty(len(items), dtype=object)
    points = np.fromiter((item.is_point for item in items), bool, len(items))
    positions = np.array([item.box[:2] for item in items if item.is_point and item.box], np.float64).reshape(-1, 2)
    projected[points] = shapely.points(_to_square(positions))
    if not points.all():
        shapes = shapely.transform(_objects([item.geometry for item in items if not item.is_point]), _to_square)
        damaged = ~shapely.is_valid(shapes)
        shapes[damaged] = shapely.make_valid(shapes[damaged], method="structure", keep_collapsed=False)
        projected[~points] = shapes
    return projected


def _objects(geometries: Sequence[Any]) -> Any:
    found = np.empty(len(geometries), dtype=object)
    found[:] = geometries
    return found


def _to_square(positions: Positions) -> Positions:
    latitude = np.radians(np.clip(positions[:, 1], -MAX_LATITUDE, MAX_LATITUDE))
    return np.column_stack((positions[:, 0] / 360 + 0.5, 0.5 - np.arcsinh(np.tan(latitude)) / (2 * np.pi)))


class _Described(msgspec.Struct):
    id: Any = None
    properties: dict[str, Any] | None = None


_read = msgspec.json.Decoder(_Described).decode


def _label(item: Item) -> FeatureAttributes:
    """Read anew, so that the item does not keep for ever what only tiles need."""
    feature = _read(item.value)
    id, properties = feature.id, feature.properties or {}
    if isinstance(id, int) and not isinstance(id, bool) and 0 <= id < 1 << 64:
        return FeatureAttributes(item.key, encode_properties(properties), id)
    return FeatureAttributes(item.key, encode_properties({"id": id, **properties} if id is not None else properties), None)
