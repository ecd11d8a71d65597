"""The spatial conditions of a filter: a box, a polygon, a circle.

Points, nearly all of a stream, are decided by comparisons of numbers. Everything else is compared by its bounds first and,
where these leave it open, exactly by shapely. Edges count as inside. The plane is longitude x latitude: a shape that crosses the
antimeridian is expected in two parts, as RFC 7946 wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import lru_cache
from itertools import chain, repeat
from typing import Any, NamedTuple

import msgspec
import shapely
from shapely.geometry.base import BaseGeometry

from streaming.core.bbox import Box, check_bbox
from streaming.core.circle import Circle
from streaming.core.errors import StreamError
from streaming.core.geometry import GeometryError, check_geometry
from streaming.core.items import Item
from streaming.core.json_values import NotJson, as_json

CACHED_POLYGONS = 128
MAX_PARTS = 8
"""A MultiPolygon of at most so many parts is indexed by the bounds of each."""


class Region(NamedTuple):
    """A part of the world: equal keys for equal parts, bounds, and whether an item touches it."""

    key: Hashable
    boxes: tuple[Box, ...]
    matches: Callable[[Item], bool]


def compile_bbox(bbox: Any) -> Region:
    """`[west, south, east, north]` in degrees; west > east crosses the antimeridian. StreamError invalid_bbox."""
    box = check_bbox(bbox)
    west, south, east, north = box
    if west <= east:
        return Region(box, (box,), _in_box(box))
    boxes = ((west, south, 180.0, north), (-180.0, south, east, north))
    in_west, in_east = map(_in_box, boxes)
    return Region(box, boxes, lambda item: in_west(item) or in_east(item))


def compile_geometry(geometry: Any, max_vertices: int) -> Region:
    """A GeoJSON Polygon or MultiPolygon in degrees. StreamError invalid_geometry."""
    try:
        bare = _bare_polygon(geometry)
        text = msgspec.json.encode(bare, order="sorted")
    except (NotJson, GeometryError) as error:
        raise StreamError("invalid_geometry", str(error)) from None
    rings = bare["coordinates"] if bare["type"] == "Polygon" else chain.from_iterable(bare["coordinates"])
    if (vertices := sum(map(len, rings))) > max_vertices:
        raise StreamError("invalid_geometry", f"geometry: has {vertices:,} vertices, more than the {max_vertices:,} allowed; simplify it")
    return _polygon_region(text)


def circle_region(circle: Circle) -> Region:
    """What is in a circle, by geodesic distance."""

    def matches(item: Item) -> bool:
        bounds = item.box
        if bounds is None or not any(map(bounds_meet, circle.boxes, repeat(bounds))):
            return False
        if item.is_point:
            return circle.has_point(bounds[0], bounds[1])
        geometry = item.geometry
        return geometry is not None and circle.touches(geometry)

    return Region(("circle", *circle[:3]), circle.boxes, matches)


def bounds_meet(one: Box, other: Box) -> bool:
    """Whether two boxes, neither of which crosses the antimeridian, have a place in common."""
    return one[0] <= other[2] and one[2] >= other[0] and one[1] <= other[3] and one[3] >= other[1]


def rectangle(box: Box) -> BaseGeometry:
    """The box as a prepared geometry; one without width or height is a line or a point."""
    west, south, east, north = box
    if west < east and south < north:
        made = shapely.box(*box)
    elif west < east or south < north:
        made = shapely.LineString([(west, south), (east, north)])
    else:
        made = shapely.Point(west, south)
    shapely.prepare(made)
    return made


def intersect_boxes(ones: Iterable[Box], others: tuple[Box, ...]) -> tuple[Box, ...]:
    """The boxes common to both, without empty ones."""
    pairs = ((one, other) for one in ones for other in others)
    common = ((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])) for a, b in pairs)
    return tuple(dict.fromkeys(box for box in common if box[0] <= box[2] and box[1] <= box[3]))


def _in_box(box: Box) -> Callable[[Item], bool]:
    west, south, east, north = box
    drawn: BaseGeometry | None = None

    def matches(item: Item) -> bool:
        bounds = item.box
        if bounds is None:
            return False
        left, bottom, right, top = bounds
        if left > east or right < west or bottom > north or top < south:
            return False
        return item.is_point or (west <= left and right <= east and south <= bottom and top <= north) or exactly(item)

    def exactly(item: Item) -> bool:
        nonlocal drawn
        if drawn is None:
            drawn = rectangle(box)
        return _touch(drawn, item)

    return matches


def _touch(prepared: BaseGeometry, item: Item) -> bool:
    geometry = item.geometry
    return geometry is not None and bool(prepared.intersects(geometry))


def _bare_polygon(geometry: Any) -> dict[str, Any]:
    if not isinstance(geometry, dict) or geometry.get("type") not in ("Polygon", "MultiPolygon"):
        raise GeometryError("geometry: must be a GeoJSON Polygon or MultiPolygon")
    bare = {"type": geometry["type"], "coordinates": as_json(geometry.get("coordinates"), "geometry.coordinates")}
    check_geometry(bare)
    return bare


@lru_cache(CACHED_POLYGONS)
def _polygon_region(text: bytes) -> Region:
    polygon = shapely.force_2d(shapely.from_geojson(text))
    if polygon.is_empty:
        raise StreamError("invalid_geometry", "geometry: has no polygon")
    if not shapely.is_valid(polygon):
        raise StreamError("invalid_geometry", f"geometry: {shapely.is_valid_reason(polygon)}")
    shapely.prepare(polygon)
    boxes = _part_boxes(polygon)
    west, south, east, north = polygon.bounds

    def matches(item: Item) -> bool:
        bounds = item.box
        if bounds is None or bounds[0] > east or bounds[2] < west or bounds[1] > north or bounds[3] < south:
            return False
        return _touch(polygon, item)

    return Region(text, boxes, matches)


def _part_boxes(polygon: BaseGeometry) -> tuple[Box, ...]:
    parts = list(shapely.get_parts(polygon))
    shapes = parts if len(parts) <= MAX_PARTS else [polygon]
    return tuple(dict.fromkeys(part.bounds for part in shapes))
