"""GeoJSON in another coordinate reference system.

Coordinates come out as easting, northing (or longitude, latitude) whatever the order of the CRS's axes; heights stay as they are. Building
a transformer takes a hundred times as long as using it, so the way to a CRS, or that there is none, is remembered. JSON knows no infinity:
a geometry with a position that the CRS cannot express becomes null.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain
from math import isfinite
from typing import Any

from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from streaming.core.coordinates import DEPTHS, Position, flatten, nest
from streaming.core.errors import StreamError

WGS84 = 4326
MAX_CACHED_CRS = 256
_EPSG = re.compile(
    r"(?:\[?EPSG:|https?://www\.opengis\.net/def/crs/EPSG/[^/]*/|urn:ogc:def:crs:EPSG:[^:]*:)?(\d{1,9})\]?", re.IGNORECASE | re.ASCII
)
_CRS84 = re.compile(
    r"(?:\[?OGC:|https?://www\.opengis\.net/def/crs/OGC/[^/]*/|urn:ogc:def:crs:OGC:[^:]*:)?CRS84\]?", re.IGNORECASE | re.ASCII
)


def epsg_code(crs: int | str) -> int:
    """The EPSG code in 3857, "3857", "EPSG:3857", an OGC URI or URN; 4326 of CRS84. It need not exist. StreamError invalid_crs."""
    if isinstance(crs, str):
        name = crs.strip()
        if _CRS84.fullmatch(name):
            return WGS84
        match = _EPSG.fullmatch(name)
        if match:
            return int(match[1])
    elif isinstance(crs, int) and not isinstance(crs, bool) and 0 < crs < 1_000_000_000:
        return crs
    raise StreamError("invalid_crs", f"{crs!r:.80} is not an EPSG code: use 3857, 'EPSG:3857' or an OGC CRS URI")


def transformer_to(code: int) -> Transformer:
    """From longitude, latitude to easting, northing of an EPSG code; made once. StreamError invalid_crs."""
    transformer = _build(code)
    if isinstance(transformer, str):
        raise StreamError("invalid_crs", transformer)
    return transformer


def make_transformer(code: int) -> Transformer | str:
    """The way from longitude, latitude to the CRS of an EPSG code, or the reason why there is none. It may take a tenth of a second."""
    try:
        crs = CRS.from_epsg(code)
        if not (crs.is_projected or crs.is_geographic):
            return f"EPSG:{code} is not a horizontal coordinate reference system"
        return Transformer.from_crs(WGS84, crs.to_2d(), always_xy=True)
    except ProjError:
        return f"EPSG:{code} does not exist or cannot be reached from WGS 84"


def transformer_from(code: int) -> Transformer:
    """From easting, northing of an EPSG code to longitude, latitude; made once. StreamError invalid_crs."""
    transformer = _build_inverse(code)
    if isinstance(transformer, str):
        raise StreamError("invalid_crs", transformer)
    return transformer


def _make_inverse(code: int) -> Transformer | str:
    """The way back, on its own: pyproj chooses the operation anew, as GDAL does."""
    forward = make_transformer(code)
    return forward if isinstance(forward, str) else Transformer.from_crs(CRS.from_epsg(code).to_2d(), WGS84, always_xy=True)


_build = lru_cache(MAX_CACHED_CRS)(make_transformer)
_build_inverse = lru_cache(MAX_CACHED_CRS)(_make_inverse)


def project(feature: dict[str, Any], transformer: Transformer) -> None:
    """Replace the geometry of a feature (and its bbox) by its projection, or by null if the CRS cannot express a position of it."""
    geometry = _projected(feature["geometry"], transformer)
    feature["geometry"] = geometry
    if "bbox" in feature:
        bounds = None if geometry is None else _bounds(geometry)
        if bounds is None:
            del feature["bbox"]
        else:
            feature["bbox"] = bounds


def _projected(geometry: dict[str, Any], transformer: Transformer) -> dict[str, Any] | None:
    """A projected copy, or None if it cannot be expressed in the CRS."""
    made = dict(geometry)
    if geometry["type"] == "GeometryCollection":
        members = [_projected(member, transformer) for member in geometry["geometries"]]
        if any(member is None for member in members):
            return None
        made["geometries"] = members
    else:
        coordinates = _projected_coordinates(geometry["coordinates"], DEPTHS[geometry["type"]], transformer)
        if coordinates is None:
            return None
        made["coordinates"] = coordinates
    if "bbox" in made:
        bounds = _bounds(made)
        made.pop("bbox")
        if bounds is not None:
            made["bbox"] = bounds
    return made


def _projected_coordinates(coordinates: Any, depth: int, transformer: Transformer) -> Any:
    positions = flatten(coordinates, depth)
    if not positions:
        return coordinates
    xs, ys = transformer.transform([position[0] for position in positions], [position[1] for position in positions])
    if not all(map(isfinite, chain(xs, ys))):
        return None
    return nest(([x, y, *position[2:]] for x, y, position in zip(xs, ys, positions, strict=True)), coordinates, depth)


def _all_positions(geometry: dict[str, Any]) -> Iterable[Position]:
    if geometry["type"] == "GeometryCollection":
        return chain.from_iterable(map(_all_positions, geometry["geometries"]))
    return flatten(geometry["coordinates"], DEPTHS[geometry["type"]])


def _bounds(geometry: dict[str, Any]) -> list[float] | None:
    """GeoJSON bbox of 4 numbers, or of 6 if every position has a height; None of an empty geometry."""
    positions = list(_all_positions(geometry))
    if not positions:
        return None
    axes = list(zip(*positions, strict=False))
    return [*map(min, axes), *map(max, axes)]
