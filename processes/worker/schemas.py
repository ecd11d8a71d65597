"""JSON Schemas (2020-12) of Python's types."""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec

from .annotations import BBOX_SCHEMA, BBox, Input, Media, Schema
from .errors import ProcessDefinitionError

T = TypeVar("T")


def split(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type, and what `Annotated` says of it."""
    return (get_args(hint)[0], hint.__metadata__) if get_origin(hint) is Annotated else (hint, ())


def annotation(hint: Any, kind: type[T]) -> T | None:
    """What is said of this kind in a hint, also where the annotated type is one of `… | None`. The outermost counts."""
    bare, metadata = split(hint)
    for each in reversed(metadata):
        if isinstance(each, kind):
            return each
    optional = without_none(bare)
    return None if optional is bare else annotation(optional, kind)


def without_none(hint: Any) -> Any:
    """The X of `X | None`; any other type as it is."""
    if get_origin(hint) in (Union, types.UnionType):
        others = [each for each in get_args(hint) if each is not type(None)]
        if len(others) < len(get_args(hint)):
            return others[0] if len(others) == 1 else Union[tuple(others)]  # noqa: UP007  # made of a tuple
    return hint


def is_optional(hint: Any) -> bool:
    """Whether None is one of its values."""
    bare, _ = split(hint)
    return without_none(bare) is not bare or bare is type(None)


def schema_of(hint: Any) -> dict[str, Any]:
    """The schema of a hint. `ProcessDefinitionError` for a type that JSON has nothing for."""
    bare, metadata = split(hint)
    optional = without_none(bare)
    if optional is not bare and not metadata:
        return _with_null(schema_of(optional))
    schema = _own(bare, metadata) or _of_type(optional)
    for each in metadata:
        if isinstance(each, Input):
            schema = {**schema, **each.keywords()}
    return schema


def _own(bare: Any, metadata: tuple[Any, ...]) -> dict[str, Any] | None:
    for each in reversed(metadata):
        if isinstance(each, Schema):
            return each.schema
        if isinstance(each, Media):
            return each.schema()
    if bare is bytes:
        return Media().schema()
    return BBOX_SCHEMA if bare is BBox else None


def _of_type(bare: Any) -> dict[str, Any]:
    origin, arguments = get_origin(bare), get_args(bare)
    if get_origin(bare) is Annotated or bare is bytes or bare is BBox:
        return schema_of(bare)
    if origin is list and arguments:
        return {"type": "array", "items": schema_of(arguments[0])}
    if bare is dict or (origin is dict and arguments[0] is str and arguments[1] is Any):
        return {"type": "object"}
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(each) for each in arguments]}
    if origin is typing.Literal:
        kinds = {type(each) for each in arguments}
        return {**({"type": "string"} if kinds == {str} else {}), "enum": list(arguments)}
    try:
        return msgspec.json.schema(bare)
    except TypeError as error:
        raise ProcessDefinitionError(f"{bare!r} has no JSON Schema: {error}") from error


def _with_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]} if isinstance(schema.get("type"), str) and "enum" not in schema else {
        "anyOf": [schema, {"type": "null"}]
    }  # fmt: skip
