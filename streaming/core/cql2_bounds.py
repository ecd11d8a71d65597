"""Where the features are that a CQL2 expression can be true of, so that the index asks it of no others."""

from __future__ import annotations

from functools import reduce
from typing import Any

import msgspec
import shapely

from streaming.core.bbox import Box
from streaming.core.cql2_boxes import box_geometry
from streaming.core.cql2_functions import dwithin_place
from streaming.core.spatial import intersect_boxes

_TOUCHING = frozenset({"s_intersects", "s_equals", "s_touches", "s_within", "s_overlaps", "s_crosses", "s_contains"})
"""Relations that two geometries can only have if their bounds have something in common."""


def bounding_boxes(tree: Any) -> tuple[Box, ...] | None:
    """Boxes outside of which the checked expression is true of no feature; None if it may be true anywhere."""
    if not isinstance(tree, dict) or "op" not in tree:
        return None
    name, arguments = tree["op"], tree.get("args") or []
    if name == "and":
        known = [boxes for part in arguments if (boxes := bounding_boxes(part)) is not None]
        return reduce(intersect_boxes, known) if known else None
    if name.lower() == "s_dwithin":
        name, place = dwithin_place(arguments)
        return place.boxes if name == "geometry" else None
    if name in _TOUCHING and {"property": "geometry"} in arguments:
        return _boxes(next((part for part in arguments if "property" not in part), None))
    return None


def places(tree: Any) -> frozenset[str]:
    """The properties that the expression asks for a geometry."""
    if isinstance(tree, list):
        return frozenset().union(*map(places, tree))
    if not isinstance(tree, dict) or "op" not in tree:
        return frozenset()
    arguments = tree.get("args") or []
    found = {part["property"] for part in arguments if isinstance(part, dict) and "property" in part}
    return places(arguments) | (found if tree["op"].lower().startswith("s_") else frozenset())


def _boxes(literal: dict[str, Any] | None) -> tuple[Box, ...] | None:
    if literal is None:
        return None
    geometry = box_geometry(literal["bbox"]) if "bbox" in literal else literal
    shape = shapely.from_geojson(msgspec.json.encode(geometry))
    parts = shapely.get_parts(shape) if "bbox" in literal else [shape]
    return tuple(part.bounds for part in parts if not part.is_empty)
