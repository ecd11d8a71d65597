"""The nesting depth of JSON text and the number of its values, found without decoding it.

What reads JSON recurses, here and in every peer: text that is nested beyond all use must not get as far as one that fails over it. And
decoding takes as long as there are values. Both are found in a few passes over the bytes, whatever they are.
"""

from __future__ import annotations

import numpy as np

_STEPS = np.zeros(256, np.int8)
_STEPS[[*b"[{"]] = 1
_STEPS[[*b"]}"]] = -1
_QUOTE = ord('"')


def exceeds_depth(text: bytes, levels: int) -> bool:
    """Whether valid JSON text is nested more deeply."""
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    characters = np.frombuffer(text.replace(b"\\\\", b"").replace(b'\\"', b""), np.uint8)
    steps = _STEPS[characters]
    if _QUOTE in text:
        steps[np.logical_xor.accumulate(characters == _QUOTE)] = 0  # in strings
    return levels < 0 or int(steps.cumsum(dtype=np.int32).max(initial=0)) > levels


def most_values(text: bytes) -> int:
    """How many values valid JSON text has at most: of each array and object, its elements; a comma in a string counts as one."""
    return 1 + text.count(b",") + text.count(b"[") + text.count(b"{")
