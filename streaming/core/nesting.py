"""How deeply JSON text is nested, told without decoding it.

What reads JSON recurses, here and in every peer: text that is nested beyond all use must not get as far as one that fails over it.
"""

from __future__ import annotations

from itertools import accumulate

_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def deeper_than(text: bytes, levels: int) -> bool:
    """Whether valid JSON text is nested more deeply."""
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    brackets = _without_strings(text).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > levels


def _without_strings(text: bytes) -> bytes:
    unescaped = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(unescaped.split(b'"')[::2])
