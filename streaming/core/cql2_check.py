"""Checks CQL2 expressions: which operators are supported, and of what types their arguments must be.

The evaluator answers an unknown function or a wrong argument with "cannot decide", for each feature anew; a client would see an
empty map and never learn why. So a parsed expression is checked once against this table. A property may stand for any kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from streaming.core.cql2_boxes import box_geometry
from streaming.core.cql2_functions import FUNCTIONS, is_function
from streaming.core.datetimes import microseconds
from streaming.core.errors import StreamError
from streaming.core.geometry import GeometryError, check_geometry

MAX_NODES = 2_000
"""Operators, properties, literals and positions of literal geometries of one expression; evaluating so many takes some milliseconds."""

_SCALARS = ("scalar", "scalar")
_SPATIAL = ("intersects", "equals", "disjoint", "touches", "within", "overlaps", "crosses", "contains")
_TEMPORAL = (
    *("after", "before", "contains", "disjoint", "during", "equals", "finishedBy", "finishes", "intersects"),
    *("meets", "metBy", "overlappedBy", "overlaps", "startedBy", "starts"),
)
_ARRAY = ("equals", "contains", "containedBy", "overlaps")

OPERATORS: dict[str, tuple[str, tuple[str, ...]]] = {
    "and": ("truth", ()),
    "or": ("truth", ()),
    "not": ("truth", ("truth",)),
    **dict.fromkeys(("=", "<>", "<", "<=", ">", ">=", "like"), ("truth", _SCALARS)),
    "between": ("truth", ("scalar", "scalar", "scalar")),
    "in": ("truth", ("scalar", "list")),
    "isNull": ("truth", ("any",)),
    **dict.fromkeys(FUNCTIONS, ("scalar", ("scalar",))),
    **dict.fromkeys(("+", "-", "*", "/", "^", "%", "div"), ("scalar", _SCALARS)),
    **{f"s_{name}": ("truth", ("geometry", "geometry")) for name in _SPATIAL},
    "s_dwithin": ("truth", ("geometry", "geometry", "scalar")),
    **{f"t_{name}": ("truth", ("time", "time")) for name in _TEMPORAL},
    **{f"a_{name}": ("truth", ("list", "list")) for name in _ARRAY},
}
"""Operator to (kind of its result, kinds of its arguments); `and` and `or` take any number of truths."""

_NAMES = {
    "truth": "a condition",
    "scalar": "a text, number, boolean or time",
    "list": "a list",
    "geometry": "a geometry",
    "time": "a time or interval",
}


def check_expression(tree: Any) -> frozenset[str]:
    """Every property name in the expression, and its first part if it has a dot. StreamError invalid_filter if it is no condition."""
    checker = _Checker()
    checker.check(tree, "truth", "the filter")
    return frozenset(checker.names)


class _Checker:
    def __init__(self) -> None:
        self.names: set[str] = set()
        self.nodes = 0

    def check(self, node: Any, wanted: str, place: str) -> None:
        self._count(1)
        kinds = self._kinds(node, place)
        if wanted != "any" and kinds and wanted not in kinds:
            raise _refusal(f"{place} must be {_NAMES[wanted]}, not {node!r:.80}")

    def _count(self, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise _refusal(f"the filter has more than {MAX_NODES:,} operators, properties, literals and positions")

    def _kinds(self, node: Any, place: str) -> tuple[str, ...]:
        """What the node can stand for; empty for a property, which can stand for anything."""
        if isinstance(node, bool):
            return ("truth", "scalar")
        if isinstance(node, str | int | float):
            return ("scalar",)
        if isinstance(node, list):
            for member in node:
                self.check(member, "scalar", f"a member of {place}")
            return ("list",)
        if isinstance(node, dict):
            for member, kinds_of in _OBJECTS.items():
                if member in node:
                    return kinds_of(self, node)
        raise _refusal(f"{place} cannot be {'NULL (use IS NULL)' if node is None else repr(node)[:80]}")

    def _operator(self, node: dict[str, Any]) -> tuple[str, ...]:
        name, arguments = node["op"], node.get("args") or []
        if is_function(name):
            name = name.lower()
        if name not in OPERATORS:
            raise _refusal(f"there is no operator or function {name!r:.80}")
        result, wanted = OPERATORS[name]
        wanted = wanted or ("truth",) * max(1, len(arguments))
        if len(arguments) != len(wanted):
            raise _refusal(f"{name} takes {len(wanted)} argument{'s' * (len(wanted) != 1)}, not {len(arguments)}")
        for index, (argument, kind) in enumerate(zip(arguments, wanted, strict=True), 1):
            self.check(argument, kind, f"argument {index} of {name}")
        return (result,)

    def _property(self, node: dict[str, Any]) -> tuple[str, ...]:
        self.names |= {node["property"], node["property"].partition(".")[0]}
        return ()

    def _moment(self, node: dict[str, Any]) -> tuple[str, ...]:
        text = node.get("timestamp", node.get("date"))
        if microseconds(text) is None:
            raise _refusal(f"{text!r:.80} is not a time")
        return ("scalar", "time")

    def _interval(self, node: dict[str, Any]) -> tuple[str, ...]:
        for end in node["interval"]:
            if isinstance(end, dict):
                self.check(end, "time", "the end of an interval")
            elif end != ".." and microseconds(end) is None:
                raise _refusal(f"{end!r:.80} is not a time")
        return ("time",)

    def _bbox(self, node: dict[str, Any]) -> tuple[str, ...]:
        box_geometry(node["bbox"])
        return ("geometry",)

    def _geometry(self, node: dict[str, Any]) -> tuple[str, ...]:
        try:
            check_geometry(node)
        except GeometryError as error:
            raise _refusal(str(error)) from None
        self._count(msgspec.json.encode(node).count(b"["))
        return ("geometry",)


_OBJECTS: dict[str, Callable[[_Checker, dict[str, Any]], tuple[str, ...]]] = {
    "op": _Checker._operator,
    "property": _Checker._property,
    "timestamp": _Checker._moment,
    "date": _Checker._moment,
    "interval": _Checker._interval,
    "bbox": _Checker._bbox,
    "type": _Checker._geometry,
}


def _refusal(message: str) -> StreamError:
    return StreamError("invalid_filter", message)
