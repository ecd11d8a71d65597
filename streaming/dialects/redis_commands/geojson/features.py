"""The features of a value, or the one geometry it is: their shapes, and all positions of all of them in one array."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Raw

from .coordinates import RUN
from .positions import Positions
from .shapes import GEOMETRIES, Members, Shape, decode_members, encode_members, framed, type_of

_decode_all = msgspec.json.Decoder(list[Members]).decode
AT_ONCE = 1000
"""Features that are decoded together."""
_NULL_TEXT = b"null"


class Frame:
    """The text of a feature without its positions and bounding boxes."""

    __slots__ = ("_members", "boxes", "pieces")

    def __init__(self, pieces: list[bytes], boxes: list[Raw], members: Members | None = None) -> None:
        self.pieces = pieces
        """What stands around the runs of positions."""
        self.boxes = boxes
        self._members = members

    @property
    def without_geometry(self) -> bytes:
        """The whole text, if the geometry has no place in the CRS."""
        if self._members is None:
            return _NULL_TEXT
        without = {**self._members, "geometry": Raw(_NULL_TEXT)}
        without.pop("bbox", None)
        return encode_members(without)


class Features:
    """All of a value, in order. A member of a collection may be anything: what is no feature and no geometry has no place."""

    def __init__(self, texts: Sequence[Raw | bytes]) -> None:
        self.texts = texts
        self._members = _members(texts)
        self._kinds = [None if members is None else type_of(members) for members in self._members]
        self.shapes = [_shape(text, members, kind) for text, members, kind in zip(texts, self._members, self._kinds, strict=True)]
        self.positions = self._positions()
        self.one_passes_always = any(shape.passes_always for shape in self.shapes)
        """Whether there is one that no box keeps out."""

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """Where the positions of each begin; one more at the end."""
        return np.concatenate(([0], np.cumsum([shape.count for shape in self.shapes], dtype=np.int64)))

    @cached_property
    def passing_always(self) -> npt.NDArray[np.bool_]:
        """Which no box keeps out."""
        return np.array([shape.passes_always for shape in self.shapes], bool)

    @cached_property
    def frames(self) -> list[Frame | None]:
        """None of what is the same in every CRS."""
        return [self._frame(index) for index in range(len(self.texts))]

    def _positions(self) -> Positions:
        try:
            return self._read_positions()
        except msgspec.DecodeError:
            for shape in self.shapes:
                _forget_if_out_of_range(shape)
            return self._read_positions()

    def _read_positions(self) -> Positions:
        shapes = self.shapes
        parts = [part.coordinates for shape in shapes for part in shape.parts]
        if len(parts) == 1:
            return Positions(parts[0].numbers, parts[0].widths)
        numbers = [part.numbers for part in parts if part.widths]
        return Positions(b",".join(numbers), b"".join([part.widths for part in parts]))

    def _frame(self, index: int) -> Frame | None:
        shape, members, kind = self.shapes[index], self._members[index], self._kinds[index]
        boxes: list[Raw] = []
        if members is not None and kind == "Feature":
            if shape.invalid:
                return Frame([], boxes, members)
            if not shape.is_null:
                return Frame(bytes(framed({**members, "geometry": shape.frame(boxes)}, boxes)).split(RUN), boxes, members)
            return Frame([bytes(framed({**members}, boxes))], boxes, members) if "bbox" in members else None
        if shape.invalid:
            return Frame([], boxes)
        return None if shape.is_null else Frame(bytes(shape.frame(boxes)).split(RUN), boxes)


def _members(texts: Sequence[Raw | bytes]) -> list[Members | None]:
    made: list[Members | None] = []
    for start in range(0, len(texts), AT_ONCE):
        some = texts[start : start + AT_ONCE]
        try:
            made += _decode_all(b"[" + b",".join(some) + b"]") if len(some) > 1 else [decode_members(some[0])]
        except msgspec.DecodeError:
            made += map(_object, some)
    return made


def _object(text: Raw | bytes) -> Members | None:
    try:
        return decode_members(text)
    except msgspec.DecodeError:
        return None


def _shape(text: Raw | bytes, members: Members | None, kind: str | None) -> Shape:
    if members is None:
        return Shape(None)
    if kind == "Feature":
        return Shape(members.get("geometry"))
    return Shape(text if kind in GEOMETRIES else None)


def _forget_if_out_of_range(shape: Shape) -> None:
    try:
        for part in shape.parts:
            Positions(part.coordinates.numbers, part.coordinates.widths)
    except msgspec.DecodeError:
        shape.forget()
