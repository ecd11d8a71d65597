"""The functions of CQL2 expressions that GeoStream computes itself: of a feature's members, before the `cql2` library is asked.

A function of what is missing or of another kind has no value; what is asked of it then cannot be decided, and does not match.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import cql2
import msgspec
import shapely

from streaming.core.circle import Circle, compile_circle
from streaming.core.cql2_boxes import box_geometry
from streaming.core.datetimes import microseconds
from streaming.core.errors import StreamError
from streaming.core.surroundings import Surroundings, compile_surroundings

Members = dict[str, Any]
Compute = Callable[[Members], Any]
"""A value of a feature's members, None if there is none."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _without_accents(text: str) -> str:
    return "".join(mark for mark in unicodedata.normalize("NFD", text) if not unicodedata.combining(mark))


def _rounded(number: float) -> float:
    """Halves away from zero, as SQL rounds."""
    return math.copysign(math.floor(abs(number) + 0.5), number)


FUNCTIONS: dict[str, tuple[type | tuple[type, ...], Callable[[Any], Any]]] = {
    "casei": (str, str.casefold),
    "accenti": (str, _without_accents),
    "lower": (str, str.lower),
    "upper": (str, str.upper),
    "length": (str, len),
    "abs": ((int, float), abs),
    "ceil": ((int, float), math.ceil),
    "floor": ((int, float), math.floor),
    "round": ((int, float), _rounded),
}
"""Function of one argument to (what it must be, how it is computed)."""


def is_function(name: str) -> bool:
    """Whether GeoStream computes it; the case of the name does not matter."""
    return name.lower() in FUNCTIONS or name.lower() == "s_dwithin"


def function_value(name: str, arguments: Sequence[Compute]) -> Compute:
    """A function of FUNCTIONS applied to its argument."""
    kind, function = FUNCTIONS[name]
    (inner,) = arguments

    def compute(members: Members) -> Any:
        value = inner(members)
        if not isinstance(value, kind) or isinstance(value, bool):
            return None
        try:
            return function(value)
        except (ValueError, OverflowError):  # of an infinity
            return None

    return compute


def argument(node: Any) -> Compute:
    """What a rewritten node stands for: a literal, a property, or whatever the library makes of it."""
    if not isinstance(node, dict):
        return lambda members: node
    if "property" in node:
        return _property(node["property"])
    expression = cql2.parse_json(msgspec.json.encode(node).decode())

    def compute(members: Members) -> Any:
        try:
            value = expression.reduce(members).to_json()
        except Exception as error:
            if type(error) is not Exception:  # the library raises exactly Exception for whatever it cannot decide
                raise
            return None
        return None if isinstance(value, dict) else value

    return compute


def time_number(inner: Compute) -> Compute:
    """A time as microseconds since 1970."""
    return lambda members: microseconds(inner(members))


def time_text(inner: Compute) -> Compute:
    """A time as a text in UTC; a date stays one, because it stands for all of its day."""

    def compute(members: Members) -> Any:
        value = inner(members)
        time = microseconds(value)
        if time is None:
            return None
        try:
            text = utc_text(time)
        except OverflowError:  # before the year 1 or after 9999, by its zone
            return None
        return text[:10] if isinstance(value, str) and len(value.strip()) <= len("2018-08-01") else text

    return compute


def utc_text(time: float) -> str:
    """Microseconds since 1970 as RFC 3339."""
    return (_EPOCH + timedelta(microseconds=time)).isoformat().replace("+00:00", "Z")


def dwithin(arguments: Sequence[Any]) -> Compute:
    """`S_DWITHIN(geometry, POINT(…), metres)`. StreamError invalid_filter."""
    name, place = dwithin_place(arguments)
    inner = _property(name)

    def compute(members: Members) -> Any:
        geometry = inner(members)
        return _touches(place, geometry) if isinstance(geometry, dict) else None

    return compute


def dwithin_place(arguments: Sequence[Any]) -> tuple[str, Circle | Surroundings]:
    """The property of an S_DWITHIN, and where its geometry has to be. StreamError invalid_filter."""
    named, literal = sorted(arguments[:2], key=lambda node: "property" not in node)
    if "property" not in named or "property" in literal or isinstance(arguments[2], dict):
        raise StreamError("invalid_filter", "S_DWITHIN takes a property that holds a geometry, a literal geometry, and a number of metres")
    geometry = box_geometry(literal["bbox"]) if "bbox" in literal else literal
    try:
        if geometry["type"] == "Point":
            return named["property"], compile_circle(geometry["coordinates"][:2], arguments[2])
        return named["property"], compile_surroundings(geometry, arguments[2])
    except StreamError as error:
        raise StreamError("invalid_filter", f"S_DWITHIN: {error.message}") from None


def _touches(place: Circle | Surroundings, geometry: dict[str, Any]) -> bool:
    """Whether decoded GeoJSON does. False of what is none."""
    try:
        if geometry.get("type") == "Point" and isinstance(place, Circle):
            return place.has_point(*geometry["coordinates"][:2])
        return place.touches(shapely.from_geojson(msgspec.json.encode(geometry)))
    except (TypeError, ValueError, LookupError, shapely.errors.ShapelyError):
        return False


def _property(path: str) -> Compute:
    """A member of this name, or the one that the parts of the name lead to."""
    if "." not in path:
        return lambda members: members.get(path)

    def compute(members: Members) -> Any:
        if path in members:
            return members[path]
        value: Any = members
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    return compute
