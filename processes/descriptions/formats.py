"""The formats that OGC API - Processes gives a meaning: bounding boxes and GeoJSON.

JSON Schema calls `format` an annotation for values that are not texts, so what these demand is checked here: that a value is what it says
it is, not that its coordinates make sense, which is for the process to judge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .faults import Fault

PREFIX = "http://www.opengis.net/def/format/ogcapi-processes/0/"
BBOX = "ogc-bbox"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
CRS84H = "http://www.opengis.net/def/crs/OGC/0/CRS84h"
GEOMETRIES = ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon")


def format_name(value: Any) -> str:
    """The name of a `format`, which may be written as a URI."""
    return value.removeprefix(PREFIX) if isinstance(value, str) else ""


def geometry_faults(value: Any) -> list[Fault]:
    """A GeoJSON geometry."""
    if not isinstance(value, dict):
        return [Fault("", "it is not a GeoJSON geometry, which is an object")]
    kind = value.get("type")
    if kind == "GeometryCollection":
        parts = value.get("geometries")
        if not isinstance(parts, list):
            return [Fault("/geometries", "a geometry collection has a list of geometries")]
        return [fault.within(f"/geometries/{index}") for index, part in enumerate(parts) for fault in geometry_faults(part)]
    if kind not in GEOMETRIES:
        return [Fault("/type", f"it is not a kind of GeoJSON geometry ({', '.join(GEOMETRIES)}, GeometryCollection)")]
    return [] if isinstance(value.get("coordinates"), list) else [Fault("/coordinates", "a geometry has a list of coordinates")]


def feature_faults(value: Any) -> list[Fault]:
    """A GeoJSON feature."""
    if not isinstance(value, dict) or value.get("type") != "Feature":
        return [Fault("", "it is not a GeoJSON feature")]
    geometry = value.get("geometry")
    return [] if geometry is None else [fault.within("/geometry") for fault in geometry_faults(geometry)]


def collection_faults(value: Any) -> list[Fault]:
    """A GeoJSON feature collection."""
    if not isinstance(value, dict) or value.get("type") != "FeatureCollection":
        return [Fault("", "it is not a GeoJSON feature collection")]
    features = value.get("features")
    if not isinstance(features, list):
        return [Fault("/features", "a feature collection has a list of features")]
    return [fault.within(f"/features/{index}") for index, feature in enumerate(features) for fault in feature_faults(feature)]


def bbox_faults(value: Any, allowed_crs: Sequence[str] | None) -> list[Fault]:
    """A bounding box with the CRS it is in. Of no list of CRSs any will do."""
    if not isinstance(value, dict) or "bbox" not in value:
        return [Fault("", 'it is not a bounding box: {"bbox": [west, south, east, north]}')]
    numbers = value["bbox"]
    if not isinstance(numbers, list) or len(numbers) not in (4, 6) or not all(map(_is_finite, numbers)):
        return [Fault("/bbox", "a bounding box is a list of four or six numbers")]
    half = len(numbers) // 2
    faults = [Fault("/bbox", "the upper corner is below the lower one") for axis in range(1, half) if numbers[axis] > numbers[axis + half]]
    crs = value.get("crs", CRS84)
    if not isinstance(crs, str):
        faults.append(Fault("/crs", "the CRS is not a URI"))
    elif allowed_crs is not None and crs not in allowed_crs:
        faults.append(Fault("/crs", f"the CRS is none of {', '.join(allowed_crs)}"))
    return faults


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


CHECKS: dict[str, Callable[[Any], list[Fault]]] = {
    "geojson-geometry": geometry_faults,
    "geojson-feature": feature_faults,
    "geojson-feature-collection": collection_faults,
}
