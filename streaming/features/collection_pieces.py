"""Cuts the text of a large FeatureCollection into pieces, each of some features.

To read megabytes in one go would hold the interpreter's lock, and with it every client, for tens of milliseconds. Where features begin and
end is found block by block with arrays, which give others the lock in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = 512 * 1024
"""Bytes looked at in one go."""
PIECE = 128 * 1024
"""Bytes of a piece, at least."""
_QUOTE, _COMMA = ord('"'), ord(",")
_FEATURES = re.compile(rb'"features"[ \t\r\n]*:[ \t\r\n]*\[')
_WITHIN = 2
"""Brackets that are open around a feature."""


class Pieces(NamedTuple):
    """The document without its features, and these, some at a time: features with commas between them."""

    around: bytes
    features: list[bytes]


def cut_collection(body: bytes) -> Pieces | None:
    """The pieces of a FeatureCollection; None if it seems to be none. Whether it is JSON at all is not found out."""
    found = _FEATURES.search(body)
    if found is None:
        return None
    start = found.end()
    cuts, end, opened = [start], None, False
    for offset, depths, commas in _blocks(body):
        if offset <= found.start() < offset + len(depths):
            opened = depths[found.start() - offset] == 1
        if offset + len(depths) <= start:
            continue
        if not opened:
            return None
        first = max(start - offset, 0)
        closed = np.flatnonzero(depths[first:] < _WITHIN)
        if len(closed):
            end = offset + first + int(closed[0])
        for comma in commas[(commas >= first) & (depths[commas] == _WITHIN)].tolist():
            if end is not None and offset + comma > end:
                break
            if offset + comma - cuts[-1] >= PIECE:
                cuts.append(offset + comma + 1)
        if end is not None:
            break
    if end is None or _FEATURES.search(body, end):  # cut off, or perhaps named twice
        return None
    texts = [body[cut : following - 1] for cut, following in zip(cuts, [*cuts[1:], end + 1], strict=True)]
    if not all(map(bytes.strip, texts)):  # there are none, or a comma too many
        return None
    return Pieces(body[:start] + body[end:], texts)


def _blocks(body: bytes) -> Iterator[tuple[int, NDArray[np.int32], NDArray[np.int64]]]:
    """Where each block begins, how many brackets are open after each of its characters, and where its commas are outside of texts."""
    start, depth, quoted = 0, 0, False
    while start < len(body):
        end = min(start + BLOCK, len(body))
        while end < len(body) and body[end - 1] == ord("\\"):
            end += 1
        block = body[start:end].replace(b"\\\\", b"__").replace(b'\\"', b"__")
        characters = np.frombuffer(block, np.uint8)
        within = np.logical_xor.accumulate(characters == _QUOTE) ^ quoted
        steps = _STEPS[characters]
        steps[within] = 0
        depths = depth + steps.cumsum(dtype=np.int32)
        yield start, depths, np.flatnonzero((characters == _COMMA) & ~within)
        start, depth, quoted = end, int(depths[-1]), bool(within[-1])


def _step_of(character: int) -> int:
    return 1 if character in b"[{" else -1 if character in b"]}" else 0


_STEPS = np.array([_step_of(character) for character in range(256)], np.int8)
