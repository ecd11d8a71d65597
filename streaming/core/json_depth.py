"""The nesting depth of JSON text and the number of its values, found without decoding it.

What reads JSON recurses, here and in every peer: text that is nested beyond all use must not get as far as one that fails over it. And
decoding takes as long as there are values. Both are found in a few passes over the bytes, whatever they are.
"""

from __future__ import annotations

from functools import cache
from itertools import accumulate
from typing import Any

_QUOTE = ord('"')
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def exceeds_depth(text: bytes, levels: int) -> bool:
    """Whether valid JSON text is nested more deeply."""
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    unescaped = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return levels < 0 or _deepest(unescaped) > levels


def most_values(text: bytes) -> int:
    """How many values valid JSON text has at most: of each array and object, its elements; a comma in a string counts as one."""
    return 1 + text.count(b",") + text.count(b"[") + text.count(b"{")


def _deepest(text: bytes) -> int:
    """The most levels of text without escapes."""
    try:
        import numpy as np  # which a client alone may lack
    except ImportError:
        brackets = b"".join(text.split(b'"')[::2]).translate(None, _NOT_BRACKETS)
        return max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0)
    characters = np.frombuffer(text, np.uint8)
    steps = _steps()[characters]
    if _QUOTE in text:
        steps[np.logical_xor.accumulate(characters == _QUOTE)] = 0  # in strings
    return int(steps.cumsum(dtype=np.int32).max(initial=0))


@cache
def _steps() -> Any:
    import numpy as np

    steps = np.zeros(256, np.int8)
    steps[[*b"[{"]] = 1
    steps[[*b"]}"]] = -1
    return steps
