"""One JSON value of Redis, stored or published, with the GeoJSON in it.

It is parsed once, projected once per CRS in which a client has a box, and encoded once per CRS in which a client wants it, however many
clients there are. What is not projected is sent byte for byte as it came. Nothing here raises because of what a publisher wrote, but
`Value` itself.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec

from streaming.core.json_depth import exceeds_depth

from .crs import WGS84, Crs
from .geometry import KINDS, ParsedGeometry, type_of
from .projection import Reprojection, with_bbox
from .spatial_filter import Area, ProjectedGeometries

MAX_DEPTH = 126
"""Levels of arrays and objects: what all peers read. More is bad data."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class BadValue(ValueError):
    """Not JSON that could be sent on (NaN and Infinity are none); the message has the reason."""


class Value:
    """The bytes, the decoded `document` (never to be changed), and what is made of them on demand."""

    def __init__(self, text: bytes) -> None:
        """Raises BadValue."""
        self.text = text
        try:
            self.document: Any = _decode(text)
            if len(text) > 2 * MAX_DEPTH and exceeds_depth(text, MAX_DEPTH):
                raise BadValue(f"nested more than {MAX_DEPTH} levels deep")
        except RecursionError:
            raise BadValue(f"nested more than {MAX_DEPTH} levels deep") from None
        except (msgspec.DecodeError, UnicodeError) as error:
            raise BadValue(str(error)) from None
        self._type = type_of(self.document)
        self._projected: dict[int, ProjectedGeometries] = {}
        self._contents: dict[tuple[int, tuple[int, ...] | None], bytes] = {}

    @cached_property
    def geometries(self) -> list[ParsedGeometry]:
        """One of each feature, or the one geometry it is; none of what is not GeoJSON."""
        if self._type == "FeatureCollection":
            return [_geometry_of(feature) for feature in self.document["features"]]
        return [] if self._type is None else [_geometry_of(self.document)]

    @property
    def invalid(self) -> bool:
        """Whether a geometry in it cannot be read: it is in no box, and null in another CRS."""
        return any(geometry.invalid for geometry in self.geometries)

    def projected(self, crs: Crs) -> ProjectedGeometries:
        """Its geometries in a CRS; made once."""
        made = self._projected.get(crs.code)
        if made is None:
            made = self._projected[crs.code] = ProjectedGeometries(self.geometries, crs.transformer)
        return made

    def passes(self, area: Area) -> bool:
        """Whether one of its geometries is in the area, or it has none."""
        if not self.geometries:
            return True
        projected = self.projected(area.crs)
        return projected.intersects(0, area) if len(self.geometries) == 1 else next(projected.intersecting(area), None) is not None

    def content(self, crs: Crs = WGS84, trim: Area | None = None) -> bytes:
        """JSON in a CRS, the same bytes for all clients; of a feature collection only the features in the area `trim`."""
        kept = None if trim is None else self._kept(trim)
        if kept is None and (crs.transformer is None or self._type is None):
            return self.text
        made = self._contents.get((crs.code, kept))
        if made is None:
            made = self._contents[crs.code, kept] = _encode(self._document(crs, kept))
        return made

    def _kept(self, area: Area) -> tuple[int, ...] | None:
        """The features in the area; None if they are all, or this is no collection."""
        if self._type != "FeatureCollection":
            return None
        kept = tuple(sorted(self.projected(area.crs).intersecting(area)))
        return None if len(kept) == len(self.geometries) else kept

    def _document(self, crs: Crs, kept: tuple[int, ...] | None) -> Any:
        transformer = crs.transformer
        copy = Reprojection(self.geometries, self.projected(crs), transformer).member if transformer else lambda member, index: member
        if self._type != "FeatureCollection":
            return copy(self.document, 0)
        features = self.document["features"]
        document = self.document if transformer is None else with_bbox(self.document, transformer)
        return {**document, "features": [copy(features[index], index) for index in (range(len(features)) if kept is None else kept)]}


def _geometry_of(member: Any) -> ParsedGeometry:
    kind = type_of(member)
    if kind == "Feature":
        return ParsedGeometry(member.get("geometry"))
    return ParsedGeometry(member if kind in KINDS else None)
