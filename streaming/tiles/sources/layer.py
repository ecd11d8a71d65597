"""The source of `layer` tilesets: the features of a layer at one moment, as vector tiles.

A tile has the features that touch it or its margin, simplified to half of its own unit: lines and areas in the order of
their keys, and above them points in the order of the hashes of theirs. Low zooms are thinned (`thinning.py`). Equal
features are equal bytes, in whatever steps the source was made. A GeoJSON id that is a whole number becomes the
feature's id. Any other id becomes the property `id`, if the feature has none of that name.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from streaming.core.bbox import Box
from streaming.core.items import Item
from streaming.engine.conf import conf
from streaming.tiles.attributes import Rows, joined
from streaming.tiles.grid import MAX_LATITUDE, WORLD
from streaming.tiles.mvt import EXTENT, MARGIN, Units, encode_columns
from streaming.tiles.thinning import PIXEL, first_of_cells, thinned

from .base import TileMetadata
from .feature_index import FeatureIndex, Found, Segment, by_hash
from .layer_kind import DEFAULT_MAX_ZOOM

SIMPLIFY_UNITS = 2.0
"""How far a simplified line may be from the real one: 2 of 4096 units is an eighth of a pixel of 256."""


class LayerSource:
    """The features of one layer at one moment.

    It never changes; `updated` makes the next one, which shares with it what stayed.
    """

    def __init__(self, name: str, items: Iterable[Item] | FeatureIndex, max_zoom: int = DEFAULT_MAX_ZOOM) -> None:
        self._name, self._max_zoom = name, max_zoom
        self._index = items if isinstance(items, FeatureIndex) else FeatureIndex(items)

    @cached_property
    def metadata(self) -> TileMetadata:
        """What the layer has.

        The bounds are those of its features; the tile size is 512, as is usual for vector tiles.
        """
        whole_from = min(conf.TILE_WHOLE_ZOOM, self._max_zoom)
        return TileMetadata(
            _bounds(self._index.bounds), 0, self._max_zoom, "mvt", 512, vector_layers=(self._name,), thinned_below=whole_from
        )

    def close(self) -> None:
        """Nothing is open."""

    def updated(self, changes: Mapping[str, Item | None]) -> tuple[LayerSource, list[Box]]:
        """The source with other items for these keys (None: deleted), and the boxes in which that can be seen.

        It costs as much as there are changes, not features. This source stays as it is, for threads that render from
        it.
        """
        index, boxes = self._index.updated(changes)
        return LayerSource(self._name, index, self._max_zoom), boxes

    def up_to(self, max_zoom: int) -> LayerSource:
        """The same with another highest zoom, in which no feature is missing."""
        return self if max_zoom == self._max_zoom else LayerSource(self._name, self._index, max_zoom)

    def render(self, z: int, x: int, y: int) -> bytes | None:
        """The tile, None if it has no feature."""
        return _LayerTile(z, x, y, z < min(conf.TILE_WHOLE_ZOOM, self._max_zoom)).render(self._name, self._index) or None


class _LayerTile:
    """One tile that is made."""

    def __init__(self, z: int, x: int, y: int, thin: bool) -> None:
        size, margin = 1 << z, MARGIN / EXTENT
        self._square = (x - margin) / size, (y - margin) / size, (x + 1 + margin) / size, (y + 1 + margin) / size
        self._scale = EXTENT << z
        self._corner = np.array((x, y)) * EXTENT
        self._thin = thin

    def render(self, name: str, index: FeatureIndex) -> bytes:
        """The tile's bytes, none if it is empty."""
        found = index.query(self._square)
        if self._thin:
            found = self._thinned(found)
        found = [each for each in found if len(each.points) or len(each.shapes)]
        if not found:
            return b""
        attributes = joined([segment.attributes.of(segment.items, np.concatenate((shapes, points))) for segment, points, shapes in found])
        is_shape = np.concatenate([np.arange(len(each.shapes) + len(each.points)) < len(each.shapes) for each in found])
        shapes, keys = np.concatenate([each.segment.shapes(each.shapes) for each in found]), _keys(found)
        by_key = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
        units, order = self._ordered_points(found)
        rows = np.concatenate((np.flatnonzero(is_shape)[by_key], np.flatnonzero(~is_shape)[order]))
        return encode_columns(name, self._cut(shapes[by_key]), units, attributes.rows(rows))

    def _units(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Whole units from the tile's corner."""
        units: NDArray[np.float64] = np.rint(positions * self._scale - self._corner)
        return units

    def _points(self, segment: Segment, rows: Rows) -> Units:
        return self._units(segment.places[rows]).astype(np.int64)

    def _ordered_points(self, found: Sequence[Found]) -> tuple[Units, Rows]:
        """All points of the tile in the order of their hashes, and this order."""
        units = np.concatenate([self._points(each.segment, each.points) for each in found])
        if len(found) < 2:
            return units, np.arange(len(units))
        ends = np.cumsum([len(each.points) for each in found]).tolist()

        def key_of(place: int) -> str:
            number = bisect(ends, place)
            segment, points, _ = found[number]
            item: Item = segment.items[points[place - ends[number]]]  # from the end
            return item.key

        order = by_hash(np.concatenate([each.segment.hashes[each.points] for each in found]), key_of)
        return units[order], order

    def _cut(self, shapes: Any) -> Any:
        """The parts within the square, in whole units."""
        simple = shapely.simplify(shapes, SIMPLIFY_UNITS / self._scale, preserve_topology=True)
        return shapely.transform(shapely.clip_by_rect(simple, *self._square), self._units)

    # -- thinning ------------------------------------------------------------

    def _thinned(self, found: list[Found]) -> list[Found]:
        """What is kept at low zooms."""
        most = int(conf.TILE_FEATURES)
        if sum(len(each.points) for each in found) > conf.TILE_UNTHINNED_FEATURES:
            found = self._fewer_points(found, most)
        smallest = PIXEL / self._scale
        seen = [each._replace(shapes=each.shapes[each.segment.shape_sizes(each.shapes) >= smallest]) for each in found]
        return _largest_shapes(seen, most) if sum(len(each.shapes) for each in seen) > most else seen

    def _fewer_points(self, found: list[Found], most: int) -> list[Found]:
        """Of each segment first, so that only a few have to be put in order."""
        few = [each._replace(points=each.points[first_of_cells(self._points(each.segment, each.points))]) for each in found]
        units, order = self._ordered_points(few)
        kept = np.zeros(len(units), bool)
        kept[order[thinned(units, most)]] = True
        ends = np.cumsum([len(each.points) for each in few])
        split = np.split(kept, ends[:-1].tolist())
        return [each._replace(points=each.points[of_segment]) for each, of_segment in zip(few, split, strict=True)]


def _keys(found: Sequence[Found]) -> list[str]:
    """Those of the shapes."""
    return [each.segment.items[row].key for each in found for row in each.shapes.tolist()]


def _largest_shapes(found: list[Found], most: int) -> list[Found]:
    """So many of the shapes, the largest; of equal ones the first by key."""
    keys = _keys(found)
    sizes = np.concatenate([each.segment.shape_sizes(each.shapes) for each in found]).tolist()
    kept = np.zeros(len(keys), bool)
    kept[sorted(range(len(keys)), key=lambda place: (-sizes[place], keys[place]))[:most]] = True
    ends = np.cumsum([len(each.shapes) for each in found])
    return [
        each._replace(shapes=each.shapes[of_segment]) for each, of_segment in zip(found, np.split(kept, ends[:-1].tolist()), strict=True)
    ]


def _bounds(box: Box | None) -> Box:
    if box is None:
        return WORLD
    west, south, east, north = box
    return (west, max(south, -MAX_LATITUDE), east, min(north, MAX_LATITUDE))
