"""A feature layer as vector tiles: what its items are at one moment, cut along the grid.

Geometries are projected to the Web Mercator square once and found by a tree. A tile takes those that touch it or its margin, simplified
to half of its own unit. A GeoJSON id that is a whole number becomes the feature's id; any other is the property `id`, if that is free.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import shapely

from streaming.core.items import Box, Item
from streaming.tiles.grid import MAX_LATITUDE, WORLD
from streaming.tiles.mvt import EXTENT, Shape, encode_layer

from .base import Metadata

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Coordinates = NDArray[np.float64]

DEFAULT_MAX_ZOOM = 14
POINT = 0
"""The number of the type in shapely."""
MARGIN = 80
"""Units of the tile beyond its edge, so that lines and symbols meet across tiles."""
SIMPLIFY_UNITS = 2.0
"""How far a simplified line may be from the real one: 2 of 4096 units is an eighth of a pixel of 256."""


class LayerSource:
    """The features of one layer at one moment."""

    def __init__(
        self,
        name: str,
        items: Iterable[Item],
        max_zoom: int = DEFAULT_MAX_ZOOM,
    ) -> None:
        self._name = name
        self._items = [item for item in items if item.box is not None]
        self._geometries = _projected([item.geometry for item in self._items])
        self._tree = shapely.STRtree(self._geometries)
        self._tags = [_tags(item) for item in self._items]
        self._metadata = Metadata(_bounds(self._items), 0, max_zoom, "mvt", 512, vector_layers=(name,))

    @property
    def metadata(self) -> Metadata:
        """What it has. Nominally of 512 pixels, as vector tiles are everywhere."""
        return self._metadata

    def close(self) -> None:
        """Nothing is open."""

    def render(self, z: int, x: int, y: int) -> bytes | None:
        """The tile, None where no feature is."""
        size = 1 << z
        margin = MARGIN / EXTENT
        square = (x - margin) / size, (y - margin) / size, (x + 1 + margin) / size, (y + 1 + margin) / size
        found = sorted(self._tree.query(shapely.box(*square)).tolist())
        cut = _cut(self._geometries[found], square, z, x, y)
        shapes = [Shape(geometry, *self._tags[index]) for index, geometry in zip(found, cut, strict=True)]
        return encode_layer(self._name, shapes) or None


def _cut(geometries: Any, square: Box, z: int, x: int, y: int) -> list[Any]:
    """The parts within the square, in whole units from the tile's corner; points as pairs."""
    import numpy as np

    unit = 1 / (EXTENT << z)
    corner = np.array((x, y)) * EXTENT

    def to_units(positions: Coordinates) -> Coordinates:
        units: Coordinates = np.rint(positions / unit - corner)
        return units

    points = shapely.get_type_id(geometries) == POINT
    simple = shapely.simplify(geometries[~points], SIMPLIFY_UNITS * unit, preserve_topology=True)
    cut = np.empty(len(geometries), dtype=object)
    cut[~points] = shapely.transform(shapely.clip_by_rect(simple, *square), to_units)
    pairs = to_units(shapely.get_coordinates(geometries[points])).astype(int).tolist()
    cut[points] = np.fromiter(map(tuple, pairs), dtype=object, count=len(pairs))
    return list(cut)


def _projected(geometries: list[Any]) -> Any:
    """Degrees to the square from (0, 0) in the north-west to (1, 1)."""
    import numpy as np

    found = np.empty(len(geometries), dtype=object)
    found[:] = geometries
    if not len(found):
        return found
    projected = shapely.transform(found, _to_square)
    damaged = ~shapely.is_valid(projected)
    projected[damaged] = shapely.make_valid(projected[damaged], method="structure", keep_collapsed=False)
    return projected


def _to_square(positions: Coordinates) -> Coordinates:
    import numpy as np

    latitude = np.radians(np.clip(positions[:, 1], -MAX_LATITUDE, MAX_LATITUDE))
    return np.column_stack((positions[:, 0] / 360 + 0.5, 0.5 - np.arcsinh(np.tan(latitude)) / (2 * np.pi)))


def _tags(item: Item) -> tuple[dict[str, Any], int | None]:
    id = item.feature.get("id")
    if isinstance(id, int) and not isinstance(id, bool) and 0 <= id < 1 << 64:
        return item.properties, id
    return ({"id": id, **item.properties} if id is not None else item.properties), None


def _bounds(items: list[Item]) -> Box:
    boxes = [item.box for item in items if item.box is not None]
    if not boxes:
        return WORLD
    west, south, east, north = zip(*boxes, strict=True)
    return (min(west), max(min(south), -MAX_LATITUDE), max(east), min(max(north), MAX_LATITUDE))
