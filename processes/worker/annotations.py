"""What the types of a process's inputs and outputs can say beyond Python's own types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
"""Longitude and latitude in WGS 84."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """About one input: `Annotated[float, Input(title="Distance", minimum=0)]`. Titles that are left out come from the docstring.

    With `max_occurs` above 1 the parameter is a list, of which each item is one occurrence.
    """

    title: str = ""
    description: str = ""
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: float | None = None
    exclusive_maximum: float | None = None
    multiple_of: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    min_items: int | None = None
    max_items: int | None = None
    examples: Sequence[Any] | None = None
    min_occurs: int | None = None
    max_occurs: int | Literal["unbounded"] = 1
    metadata: Sequence[Mapping[str, Any]] = ()

    def keywords(self) -> dict[str, Any]:
        """What it adds to the JSON Schema."""
        named = {
            "minimum": self.minimum,
            "maximum": self.maximum,
            "exclusiveMinimum": self.exclusive_minimum,
            "exclusiveMaximum": self.exclusive_maximum,
            "multipleOf": self.multiple_of,
            "minLength": self.min_length,
            "maxLength": self.max_length,
            "pattern": self.pattern,
            "minItems": self.min_items,
            "maxItems": self.max_items,
            "examples": None if self.examples is None else list(self.examples),
        }
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """About one output. `id` is for a process with a single one, which is `result` otherwise."""

    id: str = ""
    title: str = ""
    description: str = ""
    metadata: Sequence[Mapping[str, Any]] = ()


class Media:
    """The media types of bytes: `Annotated[bytes, Media("image/tiff; application=geotiff")]`. The first one is the default."""

    def __init__(self, *types: str) -> None:
        self.types = types or ("application/octet-stream",)

    def schema(self) -> dict[str, Any]:
        """One branch for each media type."""
        branches = [{"type": "string", "contentEncoding": "binary", "contentMediaType": each} for each in self.types]
        return branches[0] if len(branches) == 1 else {"oneOf": branches}


class Schema:
    """A JSON Schema (2020-12) in place of the one that follows from the type."""

    def __init__(self, schema: Mapping[str, Any], media_type: str = "") -> None:
        self.schema = dict(schema)
        self.media_type = media_type


class BBox(NamedTuple):
    """A bounding box: four numbers, or six with heights, in the order of its CRS's axes (CRS84: west, south, east, north)."""

    bbox: tuple[float, ...]
    crs: str = CRS84


_NUMBERS = {"type": "array", "items": {"type": "number"}}
BBOX_SCHEMA: dict[str, Any] = {
    "allOf": [
        {"format": "ogc-bbox"},
        {
            "type": "object",
            "required": ["bbox"],
            "properties": {
                "bbox": {"oneOf": [{**_NUMBERS, "minItems": 4, "maxItems": 4}, {**_NUMBERS, "minItems": 6, "maxItems": 6}]},
                "crs": {"type": "string", "format": "uri", "default": CRS84},
            },
        },
    ]
}

GEOJSON = "application/geo+json"
_KINDS = ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection")


def _geojson(name: str, required: Sequence[str], **properties: Any) -> Schema:
    schema = {"type": "object", "format": name, "contentMediaType": GEOJSON, "required": ["type", *required], "properties": properties}
    return Schema(schema, GEOJSON)


def _is(*names: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(names)}


_OBJECT_OR_NULL = {"type": ["object", "null"]}
_FEATURE = {"type": _is("Feature"), "geometry": _OBJECT_OR_NULL, "properties": _OBJECT_OR_NULL}

Geometry = Annotated[
    dict[str, Any],
    _geojson("geojson-geometry", (), type=_is(*_KINDS), coordinates={"type": "array"}, geometries={"type": "array"}),
]
"""A GeoJSON geometry, as a dictionary."""
Feature = Annotated[dict[str, Any], _geojson("geojson-feature", ("geometry", "properties"), **_FEATURE)]
"""A GeoJSON feature, as a dictionary."""
FeatureCollection = Annotated[
    dict[str, Any],
    _geojson(
        "geojson-feature-collection",
        ("features",),
        type=_is("FeatureCollection"),
        features={"type": "array", "items": {"type": "object", "required": ["type", "geometry", "properties"], "properties": _FEATURE}},
    ),
]
"""A GeoJSON collection of features, as a dictionary."""
