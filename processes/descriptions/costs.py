"""Whether validating against a schema ends soon, whatever the value is.

References multiply: a schema that refers twice to one that refers twice to another doubles the work with each step, and one that leads
back to itself twice doubles it with each level of the value. Validation cannot be interrupted, and a worker's schema is validated in the
server, so such schemas are refused when they are registered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from .openapi import find

MOST_EXPANDED = 2000
"""Schemas that references may add to those that are written."""
MOST_WRITTEN = 20_000
MOST_OBJECTS_IN_ENUM = 1000
"""Objects and lists are compared with each member of an enum; texts and numbers are looked up."""

_BESIDE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
"""What applies its schemas to the value itself."""
_INSIDE = {
    **dict.fromkeys(("properties", "patternProperties", "additionalProperties", "unevaluatedProperties"), "member"),
    **dict.fromkeys(("items", "prefixItems", "contains", "unevaluatedItems"), "item"),
    "propertyNames": "name",
}
"""What applies them to parts of it."""
_OF_MANY = ("properties", "patternProperties", "dependentSchemas")

Place = tuple[str, ...]
"""Which part of a value a schema is applied to, from where a reference began."""


def why_too_costly(schema: Mapping[str, Any]) -> str:
    """Why it is refused; empty: it is not."""
    walk = _Walk(schema)
    try:
        walk.look(schema, (), {})
    except _TooCostly as error:
        return str(error)
    return ""


class _TooCostly(Exception):
    pass


class _Walk:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._seen: set[int] = set()
        self._written = self._expanded = 0

    def look(self, schema: Any, place: Place, within: Mapping[str, _Reference]) -> None:
        """A schema that is applied to a place; `within` are the references that have led here."""
        if not isinstance(schema, Mapping):
            return
        self._count(schema)
        enum = schema.get("enum")
        if isinstance(enum, list) and sum(isinstance(each, dict | list) for each in enum) > MOST_OBJECTS_IN_ENUM:
            raise _TooCostly(f"an enum has at most {MOST_OBJECTS_IN_ENUM} objects and lists")
        for name in ("$ref", "$dynamicRef"):
            if isinstance(schema.get(name), str):
                self._follow(unquote(schema[name]), place, within)
        for step, part in _parts(schema):
            self.look(part, place + step, within)

    def _count(self, schema: Mapping[str, Any]) -> None:
        if id(schema) in self._seen:
            self._expanded += 1
        else:
            self._seen.add(id(schema))
            self._written += 1
        if self._written > MOST_WRITTEN or self._expanded > MOST_EXPANDED:
            raise _TooCostly(f"it has more than {MOST_WRITTEN} schemas, or more than {MOST_EXPANDED} by its references")

    def _follow(self, reference: str, place: Place, within: Mapping[str, _Reference]) -> None:
        if (begun := within.get(reference)) is not None:
            begun.leads_back(place[len(begun.place) :])
        else:
            self.look(find(self._root, reference), place, {**within, reference: _Reference(place)})


class _Reference:
    """A reference that is followed, and from where within it one leads back to it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._back: list[Place] = []

    def leads_back(self, place: Place) -> None:
        if any(_overlap(place, other) for other in self._back):
            raise _TooCostly("a reference leads back to itself more than once for the same part of a value")
        self._back.append(place)


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[Place, Any]]:
    for name, member in schema.items():
        if name in _BESIDE or name in _INSIDE:
            step: Place = (_INSIDE[name],) if name in _INSIDE else ()
            if isinstance(member, Mapping) and name in _OF_MANY:
                for key, part in member.items():
                    yield ((f"member {key}",) if name == "properties" else step), part
            else:
                for part in member if isinstance(member, list) else [member]:
                    yield step, part


def _overlap(one: Place, other: Place) -> bool:
    """Whether two places may be the same part, or one a part of the other."""
    return all(
        a == b or (a == "member" and b.startswith(a)) or (b == "member" and a.startswith(b)) for a, b in zip(one, other, strict=False)
    )
