"""Half characters in JSON text: an escape of a surrogate without the other half, which is no Unicode text.

JavaScript writes them where it cuts a string in an emoji. They are the fault of one feature: it is left out, its neighbours stay.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_MARK = rb"\ufdd0"
"""Stands for half a character: a code point that is reserved for such things."""

_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode
_encode = msgspec.json.Encoder().encode


def without_half_characters(text: bytes) -> tuple[bytes, int]:
    """A feature collection without the features that have half a character, and how many these are. 0 if that is not what is wrong."""
    if b"\\ud" not in text and b"\\uD" not in text:
        return text, 0
    try:
        members = _decode_members(_ESCAPES.sub(_marked, text))
        features = _decode_list(members["features"])
    except (KeyError, msgspec.DecodeError, RecursionError):
        return text, 0
    whole = [feature for feature in features if _MARK not in bytes(feature)]
    made = _encode({**members, "features": whole})
    return (text, 0) if _MARK in made else (made, len(features) - len(whole))


def _marked(escape: re.Match[bytes]) -> bytes:
    return _MARK if escape["half"] else escape[0]
