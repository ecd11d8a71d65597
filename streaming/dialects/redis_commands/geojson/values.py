"""One JSON value of Redis, stored or published, with what is GeoJSON in it.

It is parsed once, placed once per CRS somebody has a box in, and encoded once per CRS somebody wants it in, however many clients there
are. What is not projected goes out byte for byte as it came. Nothing here raises because of what a publisher wrote, but `Value` itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import chain
from math import isfinite
from typing import Any

import msgspec
from pyproj import Transformer
from pyproj.exceptions import ProjError

from streaming.core.json_depth import deeper_than

from .areas import Area
from .crs import WGS84, Crs
from .geometry import KINDS, Place
from .spatial_filter import Placing

MAX_DEPTH = 126
"""Levels of arrays and objects: what all peers read. More is bad data."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class BadValue(ValueError):
    """Not JSON that could be handed on (NaN and Infinity are none); the message says why."""


class Value:
    """Its bytes, the decoded `document` (never to be changed), and what is made of them when it is first asked for."""

    def __init__(self, text: bytes) -> None:
        """Raises BadValue."""
        self.text = text
        try:
            self.document: Any = _decode(text)
            if len(text) > 2 * MAX_DEPTH and deeper_than(text, MAX_DEPTH):
                raise BadValue(f"nested more than {MAX_DEPTH} levels deep")
        except RecursionError:
            raise BadValue(f"nested more than {MAX_DEPTH} levels deep") from None
        except (msgspec.DecodeError, UnicodeError) as error:
            raise BadValue(str(error)) from None
        self._kind = _kind(self.document)
        self._placings: dict[int, Placing] = {}
        self._contents: dict[tuple[int, tuple[int, ...] | None], bytes] = {}

    @cached_property
    def places(self) -> list[Place]:
        """Those of its features, or of the one geometry it is; of what is not GeoJSON there are none."""
        return _places(self._kind, self.document)

    @property
    def broken(self) -> bool:
        """Whether a geometry in it cannot be read: it is in no box, and null in another CRS."""
        return any(place.broken for place in self.places)

    def placing(self, crs: Crs) -> Placing:
        """Where its places are in a CRS; made once."""
        made = self._placings.get(crs.code)
        if made is None:
            made = self._placings[crs.code] = Placing(self.places, crs.transformer)
        return made

    def passes(self, area: Area) -> bool:
        """Whether one of its places is in the area, or it has none."""
        if not self.places:
            return True
        placing = self.placing(area.crs)
        return placing.touches(0, area) if len(self.places) == 1 else next(placing.touching(area), None) is not None

    def content(self, crs: Crs = WGS84, trim: Area | None = None) -> bytes:
        """JSON in a CRS, the same bytes for everybody; of a feature collection only what is in the area `trim`."""
        kept = None if trim is None else self._kept(trim)
        if kept is None and (crs.transformer is None or self._kind is None):
            return self.text
        made = self._contents.get((crs.code, kept))
        if made is None:
            made = self._contents[crs.code, kept] = _encode(self._document(crs, kept))
        return made

    def _kept(self, area: Area) -> tuple[int, ...] | None:
        """The features in the area; None if they are all, or this is no collection."""
        if self._kind != "FeatureCollection":
            return None
        kept = tuple(sorted(self.placing(area.crs).touching(area)))
        return None if len(kept) == len(self.places) else kept

    def _document(self, crs: Crs, kept: tuple[int, ...] | None) -> Any:
        write = _Writer(self.places, self.placing(crs), crs.transformer).member if crs.transformer else lambda member, index: member
        if self._kind != "FeatureCollection":
            return write(self.document, 0)
        features = self.document["features"]
        chosen = range(len(features)) if kept is None else kept
        made = {**self.document, "features": [write(features[index], index) for index in chosen]}
        return _with_bbox(made, crs.transformer) if crs.transformer else made


def _kind(member: Any) -> str | None:
    """The type of what is GeoJSON."""
    kind = member.get("type") if isinstance(member, dict) else None
    if not isinstance(kind, str):
        return None
    if kind == "FeatureCollection":
        return kind if isinstance(member.get("features"), list) else None
    return kind if kind == "Feature" or kind in KINDS else None


def _places(kind: str | None, document: Any) -> list[Place]:
    if kind == "FeatureCollection":
        return [_place(_kind(feature), feature) for feature in document["features"]]
    return [] if kind is None else [_place(kind, document)]


def _place(kind: str | None, member: Any) -> Place:
    if kind == "Feature":
        return Place(member.get("geometry"))
    return Place(member if kind in KINDS else None)


class _Writer:
    """Copies features and geometries into a CRS."""

    def __init__(self, places: list[Place], placing: Placing, transformer: Transformer) -> None:
        self._places = places
        self._placing = placing
        self._transformer = transformer

    def member(self, member: Any, index: int) -> Any:
        place = self._places[index]
        if place.geometry is member:
            return self._geometry(index)
        if _kind(member) != "Feature":
            return member
        made = _with_bbox(member, self._transformer)
        if place.geometry is not None:
            made["geometry"] = self._geometry(index)
            if made["geometry"] is None:
                made.pop("bbox", None)
        return made

    def _geometry(self, index: int) -> dict[str, Any] | None:
        place = self._places[index]
        if place.broken or (place.positions and self._placing.bounds[index] is None):
            return None
        positions = self._placing.positions(index)
        coordinates = (shape.rebuilt(positions) for shape in place.shapes)
        return _geometry(place.geometry, coordinates.__next__, self._transformer)


def _geometry(geometry: dict[str, Any], coordinates: Callable[[], Any], transformer: Transformer) -> dict[str, Any]:
    kind = _kind(geometry)
    if kind not in KINDS:
        return geometry
    made = _with_bbox(geometry, transformer)
    if kind == "GeometryCollection":
        made["geometries"] = [_geometry(member, coordinates, transformer) for member in geometry["geometries"]]
    else:
        made["coordinates"] = coordinates()
    return made


def _with_bbox(member: dict[str, Any], transformer: Transformer) -> dict[str, Any]:
    """A copy of which the bbox, if it has one, is that of the projected box; without it if that cannot be told."""
    made = dict(member)
    if "bbox" in made:
        bbox = _projected_bbox(made["bbox"], transformer)
        if bbox is None:
            del made["bbox"]
        else:
            made["bbox"] = bbox
    return made


def _projected_bbox(bbox: Any, transformer: Transformer) -> list[float] | None:
    """Corners are looked at one by one: PROJ makes do with what it can express."""
    try:
        numbers = msgspec.convert(bbox, list[float])
        half = len(numbers) // 2
        if len(numbers) not in (4, 6):
            return None
        left, bottom, right, top = numbers[0], numbers[1], numbers[half], numbers[half + 1]
        corners = transformer.transform([left, left, right, right], [bottom, top, bottom, top])
        box = transformer.transform_bounds(left, bottom, right, top)
    except (msgspec.ValidationError, ProjError):
        return None
    if not all(map(isfinite, chain(*corners, box))):
        return None
    return [*box[:2], *numbers[2:half], *box[2:], *numbers[half + 2 :]]
