"""Values of inputs and outputs: from JSON to what a function takes, and from what it returns to JSON or bytes."""

from __future__ import annotations

import dataclasses
from base64 import b64decode, b64encode
from typing import Any, get_args, get_origin

import msgspec

from .annotations import BBox, Media
from .errors import BadInput, JobFailed
from .schemas import annotation, split, without_none


def from_json(value: Any, hint: Any, name: str) -> Any:
    """An occurrence of the input `name` as its type has it. `BadInput`."""
    bare = without_none(split(hint)[0])
    try:
        if bare is bytes:
            return value if isinstance(value, bytes) else b64decode(value, validate=True)
        if bare is BBox:
            return _bbox(value)
        if get_origin(bare) is list and (item := get_args(bare)) and split(item[0])[0] is BBox:
            return [_bbox(each) for each in value]
        return msgspec.convert(value, hint)
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        raise BadInput(str(error), name, _pointer(str(error))) from error


def _bbox(value: Any) -> BBox:
    if isinstance(value, BBox):
        return value
    return BBox(tuple(map(float, value["bbox"])), *([value["crs"]] if "crs" in value else []))


def is_binary(value: Any, hint: Any) -> bool:
    """Whether a value has no place in JSON."""
    return isinstance(value, bytes | bytearray | memoryview) or annotation(hint, Media) is not None


def to_json(value: Any) -> Any:
    """An output as JSON. `JobFailed` for what JSON has nothing for."""
    try:
        return msgspec.to_builtins(_plain(value), enc_hook=_numbers)
    except (TypeError, ValueError, OverflowError) as error:
        raise JobFailed(f"what the process returned is no JSON: {error}", title="Invalid result") from error


def _plain(value: Any) -> Any:
    if isinstance(value, BBox):
        return {"bbox": list(value.bbox), "crs": value.crs}
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _numbers(value: Any) -> Any:
    """Numbers and arrays of numpy, which many libraries return."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__}")


def _pointer(message: str) -> str:
    """The place that msgspec names at the end of its message: `$.a[0]` as /a/0."""
    _, _, path = message.rpartition(" - at `$")
    return path.rstrip("`").replace("[", "/").replace("]", "").replace(".", "/") if path else ""
