"""Values that JSON can hold: finite, of bounded depth, with text keys.

What arrives as JSON text is plain already; what arrives as MessagePack or from Python may hold NaN, tuples, dates or itself.
`plain` copies such a value, so that nothing downstream has to be afraid of it and the caller's own object is never changed.
"""

from __future__ import annotations

import re
from typing import Any

MAX_DEPTH = 64
_ESCAPES = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F]..)|\\.", re.DOTALL)
_LONG_NUMBER = re.compile(rb"[0-9]{20}|-[0-9]{19}")
"""What every integer beyond 64 bits has in its text."""


class NotJson(ValueError):
    """The value cannot be JSON; the message has where and why."""


def as_json(value: Any, place: str = "value", depth: int = MAX_DEPTH) -> Any:
    """A copy of `value` of dict, list, str, int, finite float, bool and None only. NotPlain otherwise."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if value - value != 0:
            raise NotJson(f"{place}: {value} is not a finite number")
        return float(value)
    if depth == 0:
        raise NotJson(f"{place[:80]}: nested too deeply (more than {MAX_DEPTH} levels)")
    if isinstance(value, dict):
        return {_key(key, place): as_json(member, f"{place}.{key}", depth - 1) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(member, f"{place}[{index}]", depth - 1) for index, member in enumerate(value)]
    raise NotJson(f"{place}: {type(value).__name__} is not a JSON type")


def half_surrogate_pair(text: bytes) -> str | None:
    r"""The first escape in a JSON text that is half a surrogate pair, such as `\ud83d`: half an emoji, of a text that was cut in two."""
    return next((match[1].decode("latin-1") for match in _ESCAPES.finditer(text) if match[1]), None)


def why_not_json(text: bytes, error: Exception) -> str:
    """A message for people about a text that could not be decoded; `error` is the decoder's."""
    if half := half_surrogate_pair(text):
        return f"not JSON: a text holds {half}, half a surrogate pair (half an emoji), which UTF-8 cannot express"
    hint = " (JSON has no NaN and no Infinity)" if b"NaN" in text or b"Infinity" in text else ""
    return f"not JSON: {error}{hint}"


def check_depth(value: Any, place: str, depth: int = MAX_DEPTH) -> None:
    """NotPlain if decoded JSON is nested more deeply than `depth`."""
    if depth == 0:
        raise NotJson(f"{place}: nested too deeply (more than {MAX_DEPTH} levels)")
    members = value.values() if isinstance(value, dict) else value
    for member in members:
        if isinstance(member, dict | list):
            check_depth(member, place, depth - 1)


def check_integers(value: Any, text: bytes, place: str) -> None:
    """NotJson if an integer in `value`, whose JSON is `text`, has more than 64 bits, with or without a sign.

    MessagePack and most languages have no such integers: they would arrive as another number, or not at all.
    """
    if _LONG_NUMBER.search(text):
        _check_integers(value, place)


def _check_integers(value: Any, place: str) -> None:
    if isinstance(value, dict):
        for name, member in value.items():
            _check_integers(member, f"{place}.{name}")
    elif isinstance(value, list | tuple):
        for member in value:
            _check_integers(member, place)
    elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        raise NotJson(f"{place[:80]}: an integer of more than 64 bits; publish it as a text")


def _key(key: Any, place: str) -> str:
    if not isinstance(key, str):
        raise NotJson(f"{place}: the name of a member must be a text, not {key!r:.40}")
    return key
