"""A spatial index of a layer's features in which a few features can be changed without touching the many others.

Features are kept in segments: features that were added together, in columns, projected to the Web Mercator square;
points by their longitude, all else in an R-tree. A change makes a new index with one small segment more, and masks the
features that it replaces in the segments they are in. When there are too many segments, some are merged, so that a
feature is seldom moved to a larger one (a log-structured merge tree). Nothing that a thread may be reading is modified,
except for attributes, which are read when first needed and are the same in every thread.

Within a segment features are in the order of the hashes of their keys, which is random and the same everywhere: the
first ones of any place are a fair sample of what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import shapely
from numpy.typing import NDArray

from streaming.core.bbox import Box
from streaming.core.items import Item
from streaming.tiles.attributes import Attributes, Rows
from streaming.tiles.changed_boxes import Positions, boxes_of_change, to_unit_square
from streaming.tiles.grid import union

GROWTH = 4
"""Each segment is at least so many times as large as all segments after it together."""
_MOST_SCANNED = 4
"""A part of the square in which more than one of so many points of a segment may be is found by looking at all of them."""

_TAKEN_AT_ONCE = 20_000

Hashes = NDArray[np.uint32]


class Found(NamedTuple):
    """What a segment has in a part of the square: rows of points, and of other features."""

    segment: Segment
    points: Rows
    shapes: Rows


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
        for number, rows in deleted.items():
            parts[number] = parts[number].without(rows)
        index = FeatureIndex(())
        index._parts = _appended(parts, new)
        return index, boxes

    def query(self, square: Box) -> list[Found]:
        """The features whose bounds touch this part of the square."""
        return [part.query(square) for part in self._parts]

    @property
    def bounds(self) -> Box | None:
        """The bounds in degrees, None without features."""
        return union([part.bounds for part in self._parts]) if self._parts else None

    def _place(self, key: str) -> tuple[int, int] | None:
        """The number of the part where a feature is, and its row there. A key is alive in one part at most."""
        for number, part in enumerate(self._parts):
            row = part.segment.row_of(key)
            if row is not None and part.alive[row]:
                return number, row
        return None


class _Columns(NamedTuple):
    """Features in columns: where points are, in degrees and on the square; `shapes` are the projected geometries of only the others."""

    items: Sequence[Item]
    hashes: Hashes
    is_point: NDArray[np.bool_]
    degrees: Positions
    places: Positions
    shapes: Any


class Segment:
    """Features in the order of the hashes of their keys. `hashes`, `degrees` and `places` are theirs, by row."""

    def __init__(self, columns: _Columns, attributes: Attributes) -> None:
        self.items, self.hashes, self.is_point, self.degrees, self.places, self._shapes = columns
        self.attributes = attributes
        self._shape_rows = np.flatnonzero(~self.is_point)

    def row_of(self, key: str) -> int | None:
        """The row of a key, None if it is not here."""
        hashed = np.uint32(_hash(key))
        row = int(np.searchsorted(self.hashes, hashed))
        while row < len(self.items) and self.hashes[row] == hashed:
            if self.items[row].key == key:
                return row
            row += 1
        return None

    def points_in(self, square: Box) -> Rows:
        """The rows of points in a part of the square, in order."""
        west, north, east, south = square
        rows, across = self._by_longitude
        first, last = np.searchsorted(across, west, "left"), np.searchsorted(across, east, "right")
        if (last - first) * _MOST_SCANNED > len(rows):
            x, y = self.places.T
            return np.flatnonzero((x >= west) & (x <= east) & (y >= north) & (y <= south))
        near = rows[first:last]
        down = self.places[near, 1]
        return np.sort(near[(down >= north) & (down <= south)])

    def shapes_in(self, square: Box) -> Rows:
        """The rows of other features whose bounds touch a part of the square."""
        found: Rows = self._shape_rows[np.sort(self._shape_tree.query(shapely.box(*square)))]
        return found

    def shapes(self, rows: Rows) -> Any:
        """The geometries of features that are no points, on the square."""
        return self._shapes[np.searchsorted(self._shape_rows, rows)]

    def bounds_of(self, rows: Rows) -> Box:
        """The bounds in degrees of some of the features, one at least."""
        points = self.degrees[rows[self.is_point[rows]]]
        boxes = [box for row in rows[~self.is_point[rows]].tolist() if (box := self.items[row].box) is not None]
        if len(points):
            west, south = points.min(axis=0).tolist()
            east, north = points.max(axis=0).tolist()
            boxes.append((west, south, east, north))
        return union(boxes)

    def shape_sizes(self, rows: Rows) -> NDArray[np.float64]:
        """The longer side of the bounds of features that are no points, on the square."""
        sizes: NDArray[np.float64] = self._sizes[np.searchsorted(self._shape_rows, rows)]
        return sizes

    def columns(self, rows: Rows) -> _Columns:
        """Some of the features."""
        is_point = self.is_point[rows]
        shapes = self.shapes(rows[~is_point])
        return _Columns(_taken(self.items, rows), self.hashes[rows], is_point, self.degrees[rows], self.places[rows], shapes)

    @cached_property
    def _sizes(self) -> NDArray[np.float64]:
        bounds = shapely.bounds(self._shapes)
        sizes: NDArray[np.float64] = np.fmax(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
        return sizes

    @cached_property
    def _by_longitude(self) -> tuple[Rows, NDArray[np.float64]]:
        rows = np.flatnonzero(self.is_point)
        across = self.places[rows, 0]
        order = np.argsort(across)
        return rows[order], across[order]

    @cached_property
    def _shape_tree(self) -> shapely.STRtree:
        return shapely.STRtree(self._shapes)


class _LivePart:
    """A segment, which of its features are still alive, and how many these are."""

    def __init__(self, segment: Segment, alive: NDArray[np.bool_] | None = None, bounds: Box | None = None) -> None:
        self.segment = segment
        self.alive = np.ones(len(segment.items), bool) if alive is None else alive
        self.size = int(self.alive.sum())
        self._bounds = bounds

    @property
    def bounds(self) -> Box:
        """The bounds in degrees of what is alive."""
        if self._bounds is None:
            self._bounds = self.segment.bounds_of(np.flatnonzero(self.alive))
        return self._bounds

    def without(self, rows: Sequence[int]) -> _LivePart:
        """The part without these features."""
        alive = self.alive.copy()
        alive[rows] = False
        bounds = self._bounds
        if bounds is not None:
            west, south, east, north = self.segment.bounds_of(np.array(rows))
            if west <= bounds[0] or south <= bounds[1] or east >= bounds[2] or north >= bounds[3]:
                bounds = None  # one that was at the edge is gone
        return _LivePart(self.segment, alive, bounds)

    def query(self, square: Box) -> Found:
        """The live features whose bounds touch the square."""
        points, shapes = self.segment.points_in(square), self.segment.shapes_in(square)
        return Found(self.segment, points[self.alive[points]], shapes[self.alive[shapes]])


def by_hash(hashes: Hashes, key_of: Callable[[int], str]) -> Rows:
    """The order of hashes; where these are equal, that of the keys."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    for start in np.flatnonzero(ordered[1:] == ordered[:-1]).tolist():
        end = start + int(np.searchsorted(ordered[start:], ordered[start], "right"))
        order[start:end] = sorted(order[start:end].tolist(), key=key_of)
    return order


def _appended(parts: Iterable[_LivePart], items: Iterable[Item]) -> tuple[_LivePart, ...]:
    """The parts, and one more for new items if there are any; merged where the sizes ask for it."""
    located = [item for item in items if item.box is not None]
    kept = [part for part in parts if part.size]
    if located:
        kept.append(_new_part(located))
    for number, part in enumerate(kept):
        following = sum(later.size for later in kept[number + 1 :])
        if part.size < GROWTH * following or 2 * part.size < len(part.alive):
            return (*kept[:number], _merged(kept[number:]))
    return tuple(kept)


def _merged(parts: Sequence[_LivePart]) -> _LivePart:
    alive = [np.flatnonzero(part.alive) for part in parts]
    order, ordered = _in_order(_concatenated([part.segment.columns(rows) for part, rows in zip(parts, alive, strict=True)]))
    row_of = np.empty(len(order), np.int64)
    row_of[order] = np.arange(len(order))
    attributes, before = Attributes(len(order)), 0
    for part, rows in zip(parts, alive, strict=True):
        attributes.put_rows(row_of[before : before + len(rows)], part.segment.attributes, rows)
        before += len(rows)
    return _LivePart(Segment(ordered, attributes))


def _concatenated(parts: Sequence[_Columns]) -> _Columns:
    items = [item for part in parts for item in part.items]
    hashes, is_point, degrees, places, shapes = (np.concatenate(columns) for columns in list(zip(*parts, strict=True))[1:])
    return _Columns(items, hashes, is_point, degrees, places, shapes)


def _new_part(items: Sequence[Item]) -> _LivePart:
    count = len(items)
    hashes = np.fromiter((_hash(item.key) for item in items), np.uint32, count)
    is_point = np.fromiter((item.is_point for item in items), bool, count)
    degrees = np.empty((count, 2))
    for column in (0, 1):  # not one array of tuples: a large one would hold up other threads
        degrees[:, column] = np.fromiter((item.box[column] for item in items if item.box), np.float64, count)
    places = to_unit_square(degrees)
    places[~is_point] = degrees[~is_point] = np.nan
    _, ordered = _in_order(_Columns(items, hashes, is_point, degrees, places, _projected(items, is_point)))
    return _LivePart(Segment(ordered, Attributes(count)))


def _in_order(columns: _Columns) -> tuple[Rows, _Columns]:
    items, hashes, is_point, degrees, places, shapes = columns
    order = by_hash(hashes, lambda row: items[row].key)
    shapes = shapes[(np.cumsum(~is_point) - 1)[order[~is_point[order]]]] if len(shapes) else shapes
    return order, _Columns(_taken(items, order), hashes[order], is_point[order], degrees[order], places[order], shapes)


def _taken(items: Sequence[Item], rows: Rows) -> list[Item]:
    """The items at these rows. Some at a time, so that other threads have their turn."""
    taken = list[Item]()
    for start in range(0, len(rows), _TAKEN_AT_ONCE):
        taken += map(items.__getitem__, rows[start : start + _TAKEN_AT_ONCE].tolist())
    return taken


def _projected(items: Sequence[Item], is_point: NDArray[np.bool_]) -> Any:
    """The geometries of what is no point on the Web Mercator square."""
    if is_point.all():
        return _objects(())
    shapes = shapely.transform(_objects([item.geometry for item in items if not item.is_point]), to_unit_square)
    damaged = ~shapely.is_valid(shapes)
    shapes[damaged] = shapely.make_valid(shapes[damaged], method="structure", keep_collapsed=False)
    return shapes


def _objects(geometries: Sequence[Any]) -> Any:
    found = np.empty(len(geometries), dtype=object)
    found[:] = geometries
    return found


def _hash(key: str) -> int:
    return crc32(key.encode())
