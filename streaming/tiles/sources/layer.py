"""The source of `layer` tilesets: the features of a layer at one moment, as vector tiles.

A tile has the features that touch it or its margin, simplified to half of its own unit, in the order of their keys:
equal features are equal bytes, in whatever steps the source was made. A GeoJSON id that is a whole number becomes the
feature's id. Any other id becomes the property `id`, if the feature has none of that name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from streaming.core.bbox import Box
from streaming.core.items import Item
from streaming.tiles.grid import MAX_LATITUDE, WORLD
from streaming.tiles.mvt import EXTENT, MARGIN, TileFeature, encode_layer

from .base import TileMetadata
from .feature_index import FeatureIndex

DEFAULT_MAX_ZOOM = 14
POINT = 0
"""shapely's number of the type."""
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
        return TileMetadata(_bounds(self._index.bounds), 0, self._max_zoom, "mvt", 512, vector_layers=(self._name,))

    def close(self) -> None:
        """Nothing is open."""

    def updated(self, changes: Mapping[str, Item | None]) -> tuple[LayerSource, list[Box]]:
        """The source with other items for these keys (None: deleted), and the boxes in which that can be seen.

        It costs as much as there are changes, not features. This source stays as it is, for threads that render from
        it.
        """
        index, boxes = self._index.updated(changes)
        return LayerSource(self._name, index, self._max_zoom), boxes

    def render(self, z: int, x: int, y: int) -> bytes | None:
        """The tile, None if it has no feature."""
        size = 1 << z
        margin = MARGIN / EXTENT
        square = (x - margin) / size, (y - margin) / size, (x + 1 + margin) / size, (y + 1 + margin) / size
        geometries, attributes = self._index.query(square)
        cut = _cut(geometries, square, z, x, y)
        features = [TileFeature(geometry, each.properties, each.id) for geometry, each in zip(cut, attributes, strict=True)]
        return encode_layer(self._name, features) or None


def _cut(geometries: Any, square: Box, z: int, x: int, y: int) -> list[Any]:
    """The parts within the square, in whole units from the tile's corner. Points become pairs of numbers."""
    unit = 1 / (EXTENT << z)
    corner = np.array((x, y)) * EXTENT

    def to_units(positions: NDArray[np.float64]) -> NDArray[np.float64]:
        units: NDArray[np.float64] = np.rint(positions / unit - corner)
        return units

    points = shapely.get_type_id(geometries) == POINT
    cut = np.empty(len(geometries), dtype=object)
    if not points.all():
        simple = shapely.simplify(geometries[~points], SIMPLIFY_UNITS * unit, preserve_topology=True)
        cut[~points] = shapely.transform(shapely.clip_by_rect(simple, *square), to_units)
    pairs = to_units(shapely.get_coordinates(geometries[points])).astype(int).tolist()
    cut[points] = np.fromiter(map(tuple, pairs), dtype=object, count=len(pairs))
    return list(cut)


def _bounds(box: Box | None) -> Box:
    if box is None:
        return WORLD
    west, south, east, north = box
    return (west, max(south, -MAX_LATITUDE), east, min(north, MAX_LATITUDE))
