"""Rewrites checked CQL2 expressions so that the `cql2` library answers them as GeoStream's other filters do.

The library reads times, boxes and some operators otherwise than the rest of GeoStream, or not at all; here they become what it reads
in one way only:

* Times become numbers (microseconds since 1970) where they are compared, and UTC texts in temporal functions, so that `core.datetimes`
  is the one reading of times.
* Boxes that are no rectangle become geometries: two rectangles if west > east, a line or a point without width or height.
* `BETWEEN` becomes two comparisons, and `IN` with more than literals becomes `OR`; the library knows `BETWEEN` of numbers only.
* Functions become values that are computed before the library is asked (`cql2_functions`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from streaming.core.cql2_boxes import box_geometry, flat_box
from streaming.core.cql2_functions import Compute, argument, dwithin, function_value, is_function, time_number, time_text, utc_text
from streaming.core.datetimes import parse_interval
from streaming.core.errors import StreamError

_COMPARISONS = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""Comparison to the one with its sides exchanged."""


class Computed(NamedTuple):
    """A value that is computed from the members of a feature, and found under this name by the rewritten expression."""

    name: str
    value: Compute


class Rewritten(NamedTuple):
    """An expression for the library, and what is to be computed first, in this order."""

    tree: Any
    computed: tuple[Computed, ...]


def rewrite(tree: Any, names: frozenset[str]) -> Rewritten:
    """The checked expression as the library is asked; `names` are those of its properties. StreamError invalid_filter."""
    rewriter = _Rewriter(names)
    rewritten = rewriter.node(tree)
    return Rewritten(rewritten, tuple(rewriter.computed.values()))


class _Rewriter:
    def __init__(self, names: frozenset[str]) -> None:
        self.computed: dict[Any, Computed] = {}
        self._names = names

    def node(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.node(member) for member in node]
        if not isinstance(node, dict):
            return node
        if "op" in node:
            return self._operator(node["op"], node.get("args") or [])
        if "property" in node:
            return self._property(node["property"])
        if "bbox" in node:
            west, south, east, north = box = flat_box(node["bbox"])
            return {"bbox": box} if west < east and south < north else box_geometry(box)
        return node

    def _operator(self, name: str, arguments: list[Any]) -> Any:
        if is_function(name):
            return self._function(name.lower(), arguments)
        if name == "between":
            value, first, last = arguments
            return self.node(_op("and", _op(">=", value, first), _op("<=", value, last)))
        if name == "in" and not all(isinstance(member, str | int | float) for member in arguments[1]):
            alternatives = [_op("=", arguments[0], member) for member in arguments[1]]
            return self.node(_op("or", *alternatives) if len(alternatives) > 1 else alternatives[0])
        if name in _COMPARISONS and any(map(_is_time, arguments)):
            return self._time_comparison(name, *arguments)
        if name.startswith("t_"):
            return _op(name, *map(self._time_text, arguments))
        return _op(name, *map(self.node, arguments))

    def _function(self, name: str, arguments: list[Any]) -> Any:
        if name == "s_dwithin":
            return self._compute((name, repr(arguments)), dwithin(arguments))
        values = [argument(self.node(part)) for part in arguments]
        compute = function_value(name, values)
        if any(isinstance(part, dict) for part in arguments):
            return self._compute((name, repr(arguments)), compute)
        folded = compute({})
        if folded is None:
            raise StreamError("invalid_filter", f"{name} cannot be computed of {', '.join(map(repr, arguments))[:80]}")
        return folded

    def _property(self, path: str) -> Any:
        """A property by its name. The library reads a dot as a way into an object; it may also be part of the name."""
        return self._compute(("property", path), argument({"property": path})) if "." in path else {"property": path}

    def _time_comparison(self, name: str, left: Any, right: Any) -> Any:
        """A comparison of numbers. A date stands for all of its day, as it does in `datetime`."""
        if not _is_time(right):
            return self._time_comparison(_COMPARISONS[name], right, left)
        first, last = parse_interval(right.get("timestamp", right.get("date")))
        value = self._time_number(left)
        if name == "=":
            return _op("and", _op(">=", value, first), _op("<=", value, last))
        if name == "<>":
            return _op("or", _op("<", value, first), _op(">", value, last))
        return _op(name, value, last if name in ("<=", ">") else first)

    def _time_number(self, node: Any) -> Any:
        if _is_time(node):
            return parse_interval(node.get("timestamp", node.get("date")))[0]
        if isinstance(node, dict) and "property" in node:
            return self._compute(("time", node["property"]), time_number(argument(node)))
        raise StreamError("invalid_filter", f"a time is compared with a property or another time, not with {node!r:.80}")

    def _time_text(self, node: Any) -> Any:
        if "property" in node:
            return self._compute(("time text", node["property"]), time_text(argument(node)))
        if "interval" in node:
            return {"interval": [self._interval_end(end, last) for last, end in enumerate(node["interval"])]}
        if "date" in node:
            return {"date": _utc(parse_interval(node["date"])[0])[:10]}
        return {"timestamp": _utc(parse_interval(node["timestamp"])[0])}

    def _interval_end(self, end: Any, last: int) -> Any:
        if isinstance(end, dict) and "property" in end:
            return self._time_text(end)
        text: str = end.get("timestamp") or end["date"] if isinstance(end, dict) else end
        return text if text == ".." else _utc(parse_interval(text)[last])

    def _compute(self, key: Any, compute: Compute) -> Any:
        if key not in self.computed:
            name = f"${len(self.computed) + 1}"
            while name in self._names:
                name += "$"
            self.computed[key] = Computed(name, compute)
        return {"property": self.computed[key].name}


def _is_time(node: Any) -> bool:
    return isinstance(node, dict) and ("timestamp" in node or "date" in node)


def _utc(time: float) -> str:
    try:
        return utc_text(time)
    except OverflowError:
        raise StreamError("invalid_filter", "a time of the filter is before the year 1 or after 9999") from None


def _op(name: str, *arguments: Any) -> dict[str, Any]:
    return {"op": name, "args": list(arguments)}
