"""The nesting depth of JSON text, found without decoding it.

What reads JSON recurses, here and in every peer: text that is nested beyond all use must not get as far as one that fails over it.
"""

from __future__ import annotations

_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ALIKE = bytes.maketrans(b"{}", b"[]")


def exceeds_depth(text: bytes, levels: int) -> bool:
    """Whether valid JSON text is nested more deeply."""
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    brackets = _without_strings(text).translate(_ALIKE, _NOT_BRACKETS)
    for _ in range(levels):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")  # The innermost level of each branch.
    return levels < 0 or bool(brackets)


def _without_strings(text: bytes) -> bytes:
    unescaped = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(unescaped.split(b'"')[::2])
