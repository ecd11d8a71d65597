"""The coordinates of one geometry as the text they are: the lists, and the numbers in them.

No object is made for a position. A hundred thousand small lists take longer to make than everything else that is done with a line, and
have Python search all its memory for garbage.
"""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from streaming.core.coordinates import DEPTHS, flatten

RUN = b"\0"
"""Stands for the positions of one line or ring, or for one point. No JSON text has this character."""
MOST_NUMBERS = 40
"""Of one position. A geometry with a longer one cannot be read."""

_Position = Annotated[list[float], Meta(min_length=2)]
_TYPES: dict[str, Any] = {
    "Point": list[float],
    "MultiPoint": list[_Position],
    "LineString": list[_Position],
    "MultiLineString": list[list[_Position]],
    "Polygon": list[list[_Position]],
    "MultiPolygon": list[list[list[_Position]]],
}
KINDS = frozenset(_TYPES)
_BLANKS = b" \t\r\n"
_NUMBERS = b"0123456789+-.eE" + _BLANKS
_LISTS = b"[]" + _BLANKS
_PLAIN_WIDTHS = [(b"[" + b"," * (width - 1) + b"]", bytes((width,))) for width in range(2, 9)]
_TOO_WIDE = b"," * 8
_ALIKE = bytes.maketrans(bytes(range(3, MOST_NUMBERS + 1)), b"\2" * (MOST_NUMBERS - 2))
_RUN = re.compile(rb"\x02(?:,\x02)*")
_LINE = rb"\[\0?\]"
_RINGS = rb"\[(?:%b(?:,%b)*)?\]" % (_LINE, _LINE)
_POLYGONS = rb"\[(?:%b(?:,%b)*)?\]" % (_RINGS, _RINGS)
_FRAMES = [re.compile(pattern).fullmatch for pattern in (rb"\0|\[\]", _LINE, _RINGS, _POLYGONS)]


class Coordinates(NamedTuple):
    """What is written as the coordinates of a geometry that is no collection."""

    frame: bytes
    """The lists, with `RUN` in the place of each run of positions."""
    runs: list[int]
    """How many positions are in each run."""
    widths: bytes
    """How many numbers are in each position."""
    numbers: bytes
    """All numbers, separated by commas."""


_ONE, _TWO = [1], b"\2"


def read_coordinates(kind: str, text: bytes) -> Coordinates | None:
    """Take JSON text apart; None if it is not what this kind of geometry has. Numbers may still be out of range."""
    marks = text.translate(None, _NUMBERS)
    if marks == b"[,]":  # nearly always
        return Coordinates(RUN, _ONE, _TWO, text.translate(None, _LISTS)) if kind == "Point" else None
    if b"[]" in marks or _TOO_WIDE in marks:  # a list without commas may have a number in it, or none
        return _read_decoded(kind, text)
    for plain, width in _PLAIN_WIDTHS:
        if b"[" not in marks:
            break
        marks = marks.replace(plain, width)
    return _coordinates(kind, marks, text.translate(None, _LISTS))


def _read_decoded(kind: str, text: bytes) -> Coordinates | None:
    try:
        nested = msgspec.convert(json.loads(text), _TYPES[kind])
    except (ValueError, OverflowError):
        return None
    positions = flatten(nested, DEPTHS[kind])
    if not all(2 <= len(position) <= MOST_NUMBERS for position in positions):
        return None
    return _coordinates(kind, _marks(nested, DEPTHS[kind]), msgspec.json.encode([*chain.from_iterable(positions)])[1:-1])


def _marks(nested: Any, depth: int) -> bytes:
    if depth == 0:
        return bytes((len(nested),)) if nested else b"[]"
    return b"[" + b",".join([_marks(part, depth - 1) for part in nested]) + b"]"


def _coordinates(kind: str, marks: bytes, numbers: bytes) -> Coordinates | None:
    alike = marks.translate(_ALIKE)
    frame = _RUN.sub(RUN, alike)
    if not _FRAMES[DEPTHS[kind]](frame):
        return None
    return Coordinates(frame, [(len(run) + 1) // 2 for run in _RUN.findall(alike)], marks.translate(None, b"[],"), numbers)
