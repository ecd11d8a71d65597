"""A feature layer as vector tiles: what its items are at one moment, cut along the grid.

A tile takes the features that touch it or its margin, simplified to half of its own unit, in the order of their keys: equal features are
equal bytes, however the source came to have them. A GeoJSON id that is a whole number becomes the feature's id; any other is the property
`id`, if that is free.
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
"""The number of the type in shapely."""
SIMPLIFY_UNITS = 2.0
"""How far a simplified line may be from the real one: 2 of 4096 units is an eighth of a pixel of 256."""


class LayerSource:
    """The features of one layer at one moment. It never changes; `updated` makes the next one, which shares with it what stayed."""

    def __init__(self, name: str, items: Iterable[Item] | FeatureIndex, max_zoom: int = DEFAULT_MAX_ZOOM) -> None:
        self._name, self._max_zoom = name, max_zoom
        self._batches = items if isinstance(items, FeatureIndex) else FeatureIndex(items)

    @cached_property
    def metadata(self) -> TileMetadata:
        """What it has. Nominally of 512 pixels, as vector tiles are everywhere. The bounds are those of the features there are."""
        return TileMetadata(_bounds(self._batches.bounds), 0, self._max_zoom, "mvt", 512, vector_layers=(self._name,))

    def close(self) -> None:
        """Nothing is open."""

    def updated(self, changes: Mapping[str, Item | None]) -> tuple[LayerSource, list[Box]]:
        """The source after these keys got these items (None: were deleted), and the boxes in which that can be seen (for `TouchedByItems`).

        It costs as much as there are changes, not features; this one stays as it is for those who render from it.
        """
        batches, boxes = self._batches.updated(changes)
        return LayerSource(self._name, batches, self._max_zoom), boxes

    def render(self, z: int, x: int, y: int) -> bytes | None:
        """The tile, None where no feature is."""
        size = 1 << z
        margin = MARGIN / EXTENT
        square = (x - margin) / size, (y - margin) / size, (x + 1 + margin) / size, (y + 1 + margin) / size
        geometries, labels = self._batches.found(square)
        cut = _cut(geometries, square, z, x, y)
        shapes = [TileFeature(geometry, label.words, label.id) for geometry, label in zip(cut, labels, strict=True)]
        return encode_layer(self._name, shapes) or None


def _cut(geometries: Any, square: Box, z: int, x: int, y: int) -> list[Any]:
    """The parts within the square, in whole units from the tile's corner; points as pairs."""
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
