"""Geometries of GeoJSON as publishers write them, unchecked: which positions there are, and the text around them.

A publisher may write anything. Positions of any number of dimensions are read, rings need not be closed, lines may have one position
only; a geometry of a type that GeoJSON does not know is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec import Raw

from .coordinates import KINDS, Coordinates, read_coordinates

Members = dict[str, Raw]
"""The members of a JSON object, as they are written."""

BBOX = b"\1"
"""Stands for a `bbox` in a frame, where that is the last member of its object. No JSON text has this character."""
GEOMETRIES = KINDS | {"GeometryCollection"}
_NAMES = {f'"{kind}"'.encode(): kind for kind in (*GEOMETRIES, "Feature", "FeatureCollection")}

decode_members = msgspec.json.Decoder(Members).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_decode_any = msgspec.json.Decoder().decode
encode_members = msgspec.json.Encoder().encode


class Unreadable(ValueError):
    """A geometry that cannot be read."""


class Part(NamedTuple):
    """A geometry that is no collection."""

    kind: str
    coordinates: Coordinates


class _Geometry:
    """One geometry as it is written: with coordinates, with members of its own, or of an unknown type."""

    __slots__ = ("coordinates", "geometries", "members")

    def __init__(self, members: Members) -> None:
        self.members = members
        self.coordinates: Coordinates | None = None
        self.geometries: list[_Geometry] | None = None

    def frame(self, boxes: list[Raw]) -> Raw:
        """Its text, without positions and bounding boxes; these are added to `boxes`."""
        if self.coordinates is not None:
            return framed({**self.members, "coordinates": Raw(self.coordinates.frame)}, boxes)
        if self.geometries is not None:
            inner = [one.frame(boxes) for one in self.geometries]
            return framed({**self.members, "geometries": Raw(b"[" + b",".join(inner) + b"]")}, boxes)
        return Raw(encode_members(self.members))


class Shape:
    """The geometry of one feature, or a geometry on its own, with all that a collection consists of.

    `passes_always`: it has no position, or some part is of an unknown type, so no box keeps it out. `invalid`: it cannot be read, so it
    is in no box.
    """

    __slots__ = ("_geometry", "count", "invalid", "parts", "passes_always")

    def __init__(self, text: Raw | bytes | None) -> None:
        """From the text of a geometry; None or `null` is none."""
        self.parts: list[Part] = []
        self.invalid = False
        self._geometry: _Geometry | None = None
        unknown = False
        if text is not None and bytes(text) != b"null":
            try:
                self._geometry = _read(_object(text), self.parts)
                unknown = _has_unknown(self._geometry)
            except Unreadable:
                self.forget()
                return
        self._count(unknown)

    def forget(self) -> None:
        """Its numbers are out of range: it cannot be read."""
        self.parts, self.invalid, self._geometry, self.count, self.passes_always = [], True, None, 0, False

    @property
    def is_null(self) -> bool:
        """Whether there is no geometry at all."""
        return self._geometry is None and not self.invalid

    def runs(self) -> Iterator[int]:
        """How many positions are in each line, ring or point."""
        for part in self.parts:
            yield from part.coordinates.runs

    def frame(self, boxes: list[Raw]) -> Raw:
        """Its text, without positions and bounding boxes."""
        assert self._geometry is not None
        return self._geometry.frame(boxes)

    def _count(self, unknown: bool) -> None:
        self.count = (
            len(self.parts[0].coordinates.widths) if len(self.parts) == 1 else sum(len(one.coordinates.widths) for one in self.parts)
        )
        self.passes_always = unknown or not self.count


def framed(members: Members, boxes: list[Raw]) -> Raw:
    """The text of an object, with its `bbox` at the end, as `BBOX`."""
    bbox = members.pop("bbox", None)
    if bbox is not None:
        boxes.append(bbox)
        members["bbox"] = Raw(BBOX)
    return Raw(encode_members(members))


def type_of(members: Members) -> str | None:
    """The type of an object, if it is a text."""
    text = members.get("type")
    if text is None:
        return None
    known = _NAMES.get(bytes(text))
    if known is None and bytes(text).startswith(b'"'):
        known = str(_decode_any(text))
    return known


def _object(text: Raw | bytes) -> Members:
    try:
        return decode_members(text)
    except msgspec.DecodeError:
        raise Unreadable from None


def _read(members: Members, parts: list[Part]) -> _Geometry:
    """A geometry; its parts with coordinates are added, in order. `Unreadable`."""
    made, kind = _Geometry(members), type_of(members)
    if kind == "GeometryCollection":
        try:
            texts = _decode_list(members.get("geometries", Raw(b"null")))
        except msgspec.DecodeError:
            raise Unreadable from None
        made.geometries = [_read(_object(text), parts) for text in texts]
    elif kind in KINDS:
        assert kind is not None
        text = members.get("coordinates")
        made.coordinates = None if text is None else read_coordinates(kind, bytes(text))
        if made.coordinates is None:
            raise Unreadable
        parts.append(Part(kind, made.coordinates))
    return made


def _has_unknown(geometry: _Geometry) -> bool:
    if geometry.geometries is not None:
        return any(map(_has_unknown, geometry.geometries))
    return geometry.coordinates is None
