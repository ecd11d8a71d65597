"""JSON Schema 2020-12 as OpenAPI 3.0 has it, which is what OGC API - Processes 1.0 publishes.

What OpenAPI 3.0 cannot express is left out: the published schema takes at least what the original takes. References are replaced by
what they lead to; where that leads to itself, anything goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

Converted = dict[str, Any]
MOST_INLINED = 2000
"""Schemas in one published schema: references within references multiply."""

_AS_IT_IS = (
    *("title", "description", "format", "default", "pattern", "uniqueItems", "readOnly", "writeOnly", "deprecated"),
    *("contentMediaType", "contentEncoding"),
)
_COUNTS = ("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties")
_TYPES = ("array", "boolean", "integer", "number", "object", "string")


def down_convert(schema: Any, pure: bool = False) -> Converted:
    """A schema of OpenAPI 3.0 that takes whatever the given schema takes.

    The standard adds `contentMediaType` and `contentEncoding` to what OpenAPI 3.0 has; `pure` is without them.
    """
    return _Conversion(schema, pure).convert(schema, ())


class _Conversion:
    def __init__(self, root: Any, pure: bool) -> None:
        self._root = root
        self._pure = pure
        self._left = MOST_INLINED

    def convert(self, schema: Any, within: tuple[str, ...]) -> Converted:
        self._left -= 1
        if schema is False:
            return {"not": {}}
        if not isinstance(schema, Mapping) or self._left < 0:
            return {}
        if isinstance(schema.get("$ref"), str):
            return self._reference(schema, within)
        converted: Converted = {name: schema[name] for name in _AS_IT_IS if name in schema}
        converted |= {name: int(schema[name]) for name in _COUNTS if name in schema}
        if self._pure and converted.pop("contentEncoding", None) is not None:
            converted["format"] = "byte"
        if self._pure:
            converted.pop("contentMediaType", None)
        _values(schema, converted)
        _bounds(schema, converted)
        _types(schema, converted)
        for name, convert in self._parts().items():
            if name in schema:
                convert(schema[name], converted, within)
        return converted

    def _reference(self, schema: Mapping[str, Any], within: tuple[str, ...]) -> Converted:
        reference = schema["$ref"]
        beside = self.convert({name: member for name, member in schema.items() if name not in ("$ref", "$defs")}, within)
        if reference in within:
            return beside
        target = self.convert(find(self._root, reference), (*within, reference))
        if target.keys() & beside.keys():
            return {"allOf": [target, beside]}
        return {**target, **beside}

    def _parts(self) -> dict[str, Callable[[Any, Converted, tuple[str, ...]], None]]:
        return {
            "properties": self._properties,
            "additionalProperties": self._additional,
            "items": self._items,
            "prefixItems": self._prefix,
            "allOf": self._all,
            "anyOf": lambda member, converted, within: self._choice("anyOf", member, converted, within),
            "oneOf": lambda member, converted, within: self._choice("oneOf", member, converted, within),
        }

    def _properties(self, members: Any, converted: Converted, within: tuple[str, ...]) -> None:
        converted["properties"] = {name: self.convert(member, within) for name, member in members.items()}

    def _additional(self, member: Any, converted: Converted, within: tuple[str, ...]) -> None:
        converted["additionalProperties"] = member if isinstance(member, bool) else self.convert(member, within)

    def _items(self, member: Any, converted: Converted, within: tuple[str, ...]) -> None:
        converted["items"] = self.convert(member, within)

    def _prefix(self, members: Any, converted: Converted, within: tuple[str, ...]) -> None:
        """A tuple: each element may be what any element may be."""
        choices = [self.convert(member, within) for member in members]
        if converted.get("items") == {"not": {}}:
            converted["maxItems"] = min(len(choices), converted.get("maxItems", len(choices)))
        elif "items" in converted:
            choices.append(converted["items"])
        else:
            choices = []
        converted["items"] = {"anyOf": choices} if choices else {}

    def _all(self, members: Any, converted: Converted, within: tuple[str, ...]) -> None:
        inner = [self.convert(member, within) for member in members]
        converted["allOf"] = [*converted.get("allOf", []), *inner]

    def _choice(self, name: str, members: Any, converted: Converted, within: tuple[str, ...]) -> None:
        """Null is no type there, but a property of the others. What took one of several may now take two, so that `oneOf` would refuse."""
        possible = [member for member in members if member is not False] or [False]
        choices = [self.convert(member, within) for member in possible if member != {"type": "null"}]
        if len(choices) < len(possible):
            typed = all("type" in each for each in choices)
            choices = [{**each, "nullable": True} for each in choices] or [{"nullable": True}]
            if not typed:  # what else such a choice says may refuse null
                choices.append({"nullable": True, "enum": [None]})
                name = "anyOf"
        if name == "oneOf" and not all(_is_exact(member) for member in members):
            name = "anyOf"
        if name in converted:
            converted["allOf"] = [*converted.get("allOf", []), {name: choices}]
        else:
            converted[name] = choices


def _values(schema: Mapping[str, Any], converted: Converted) -> None:
    if "const" in schema:
        converted["enum"] = [schema["const"]]
    elif schema.get("enum"):
        converted["enum"] = schema["enum"]
    if None in converted.get("enum", ()):
        converted["nullable"] = True
    if schema.get("required"):
        converted["required"] = schema["required"]
    if schema.get("examples"):
        converted["example"] = schema["examples"][0]
    elif "example" in schema:
        converted["example"] = schema["example"]


def _bounds(schema: Mapping[str, Any], converted: Converted) -> None:
    if "multipleOf" in schema:
        converted["multipleOf"] = schema["multipleOf"]
    for name, exclusive, further in (("minimum", "exclusiveMinimum", max), ("maximum", "exclusiveMaximum", min)):
        bounds = [schema[each] for each in (name, exclusive) if each in schema]
        if bounds:
            converted[name] = further(bounds)
            if schema.get(exclusive) == converted[name]:
                converted[exclusive] = True


def _types(schema: Mapping[str, Any], converted: Converted) -> None:
    given = schema.get("type")
    kinds = [given] if isinstance(given, str) else list(given or [])
    known = [kind for kind in kinds if kind in _TYPES]
    if "null" in kinds:
        converted["nullable"] = True
        if not known:
            converted.setdefault("enum", [None])
    if len(known) == 1:
        converted["type"] = known[0]
    elif known:
        nullable = {"nullable": True} if "null" in kinds else {}
        converted["anyOf"] = [{"type": kind, **nullable} for kind in known]


_EXACT = {
    *(*_AS_IT_IS, *_COUNTS, "enum", "const", "examples", "example", "required", "multipleOf", "type"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}


def _is_exact(schema: Any) -> bool:
    """Whether nothing of a schema was left out when it was converted."""
    return isinstance(schema, Mapping) and all(
        name in _EXACT
        or (name == "properties" and all(map(_is_exact, member.values())))
        or (name == "items" and _is_exact(member))
        or (name in ("allOf", "anyOf", "oneOf") and all(map(_is_exact, member)))
        or (name == "additionalProperties" and (isinstance(member, bool) or _is_exact(member)))
        for name, member in schema.items()
    )


def find(root: Any, reference: str) -> Any:
    """What a reference within a schema leads to; True, which takes anything, if that is nothing."""
    found = root
    for step in unquote(reference.removeprefix("#")).split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        elif isinstance(found, Mapping) and name in found:
            found = found[name]
        else:
            return True
    return found
