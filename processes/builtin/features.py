"""Features as processes take and give them: GeoJSON outside, arrays of shapely geometries inside.

Coordinates are longitude and latitude in degrees, edges are straight in degrees, and nothing leaves the world (RFC 7946).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from processes.worker import BadInput, Feature, FeatureCollection, Geometry, Output, Schema
from processes.worker.schemas import annotation
from streaming.core.geometry import GeometryError, check_geometry, is_empty
from streaming.engine.conf import conf

Geometries = NDArray[np.object_]
Report = Callable[[int], object]
"""Is called with the per cent that are done; may raise to end the work."""

GEOMETRY_TYPES = ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection")
_SCHEMAS = [annotation(each, Schema) for each in (FeatureCollection, Feature, Geometry)]
GeoJson = Annotated[dict[str, Any], Schema({"oneOf": [each.schema for each in _SCHEMAS if each]}, "application/geo+json")]
"""An input that is a FeatureCollection, a Feature or a Geometry."""
Result = Annotated[FeatureCollection, Output(id="features")]


def no_report(percent: int) -> None:
    """Nobody wants to know how far the work is."""


@dataclass(frozen=True, slots=True)
class Features:
    """Features, and their geometries in the same order: None where there is none."""

    members: Sequence[Feature]
    geometries: Geometries

    def __len__(self) -> int:
        return len(self.members)

    def with_geometries(self, geometries: Iterable[BaseGeometry | None]) -> FeatureCollection:
        """A collection of the same features with other geometries."""
        return collection(self.members, geometries)


def read_features(data: Any, name: str = "features") -> Features:
    """The features of a Geometry, a Feature or a FeatureCollection, which stays as it is. `BadInput`."""
    return checked_features(members_of(data, name), name)


def checked_features(found: Sequence[Any], name: str) -> Features:
    """Features, if they are valid. `BadInput`."""
    if len(found) > conf.PROCESS_FEATURES:
        raise BadInput(f"{len(found):,} features are more than the {conf.PROCESS_FEATURES:,} that a job may have", name)
    members = [_checked(member, f"features[{index}]" if len(found) > 1 else "", name) for index, member in enumerate(found)]
    geometries = geometries_of(member["geometry"] for member in members)
    if (count := int(shapely.get_num_coordinates(geometries).sum())) > conf.PROCESS_POSITIONS:
        raise BadInput(f"{count:,} positions are more than the {conf.PROCESS_POSITIONS:,} that a job may have", name)
    return Features(members, geometries)


def members_of(data: Any, name: str) -> list[Any]:
    """What takes the place of features in a document. `BadInput` if it is none of GeoJSON."""
    kind = data.get("type") if isinstance(data, dict) else None
    if kind == "FeatureCollection":
        members = data.get("features")
        if not isinstance(members, list):
            raise BadInput("features: must be a list", name)
        return members
    if kind == "Feature":
        return [data]
    if kind in GEOMETRY_TYPES:
        return [{"type": "Feature", "geometry": data, "properties": {}}]
    raise BadInput(f"must be a GeoJSON geometry, Feature or FeatureCollection, not {kind!r:.40}", name)


def geometries_of(geometries: Iterable[Any]) -> Geometries:
    """Decoded GeoJSON geometries, None among them, as shapely's."""
    texts = [None if geometry is None else msgspec.json.encode(geometry) for geometry in geometries]
    found: Geometries = np.empty(len(texts), dtype=object)
    present = [index for index, text in enumerate(texts) if text is not None]
    if present:
        found[present] = shapely.from_geojson([texts[index] for index in present])
    return found


def geojson_of(geometries: Iterable[BaseGeometry | None]) -> list[dict[str, Any] | None]:
    """The other way. Empty geometries become None, rings are wound as RFC 7946 wants it."""
    array: Geometries = np.array([None, *geometries], dtype=object)[1:]  # never an array of coordinates
    wound = shapely.orient_polygons(array)
    wound[shapely.is_empty(wound)] = None
    return [None if text is None else msgspec.json.decode(text) for text in shapely.to_geojson(wound)]


def collection(features: Iterable[Feature], geometries: Iterable[BaseGeometry | None]) -> FeatureCollection:
    """A FeatureCollection of features with these geometries. A `bbox` of a feature is left out: it was of another geometry."""
    made = [
        {**{key: value for key, value in feature.items() if key != "bbox"}, "geometry": geometry}
        for feature, geometry in zip(features, geojson_of(geometries), strict=True)
    ]
    return {"type": "FeatureCollection", "features": made}


def reported(parts: Collection[Any], report: Report, first: int = 0, last: int = 100) -> Iterator[Any]:
    """The parts, whose progress from `first` to `last` per cent is reported as they are taken."""
    percent = first
    for number, part in enumerate(parts):
        now = first + (last - first) * number // len(parts)
        if now > percent:
            percent = now
            report(percent)
        yield part


def valid(geometries: Geometries) -> Geometries:
    """The same areas without self-intersections, which predicates and overlays of shapely refuse."""
    mended = geometries.copy()
    broken = ~(shapely.is_valid(geometries) | shapely.is_missing(geometries))
    mended[broken] = shapely.make_valid(geometries[broken])
    return mended


def _checked(feature: Any, place: str, name: str) -> Feature:
    """A copy of a feature whose geometry is valid GeoJSON, or None for one without positions."""
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise BadInput(f"{place or 'features'}: must be a GeoJSON Feature", name)
    properties = feature.get("properties")
    if not isinstance(properties, dict | None):
        raise BadInput(f"{place + '.' if place else ''}properties: must be an object or null", name)
    geometry = copy.deepcopy(feature.get("geometry"))
    if is_empty(geometry):
        geometry = None
    if geometry is not None:
        try:
            check_geometry(geometry, f"{place}.geometry" if place else "geometry")
        except GeometryError as error:
            raise BadInput(str(error), name) from None
    return {**feature, "geometry": geometry, "properties": properties or {}}
