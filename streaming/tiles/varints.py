"""Varints of protobuf (https://protobuf.dev/programming-guides/encoding/#varints) of whole arrays at once; rows of different lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.uint64]
Counts = NDArray[np.int64]
_MOST_BYTES = 10


def varint_sizes(numbers: Numbers) -> Counts:
    """How many bytes each number takes."""
    sizes = np.ones(len(numbers), np.int64)
    for bits in range(7, 7 * _MOST_BYTES, 7):
        longer = numbers >= np.uint64(1 << bits)
        if not longer.any():
            break
        sizes += longer
    return sizes


def encode_varints(numbers: Numbers) -> bytes:
    """The varints of the numbers one behind the other."""
    width = max(1, -(-int(numbers.max(initial=0)).bit_length() // 7))
    out, used = np.empty((len(numbers), width), np.uint8), np.empty((len(numbers), width), bool)
    used[:, 0] = True
    rest: NDArray[Any] = numbers.astype(np.uint16 if width <= 2 else np.uint32 if width <= 4 else np.uint64)
    for byte in range(width - 1):
        following = rest >> 7
        more = following > 0
        out[:, byte] = (rest.astype(np.uint8) & 127) | (more.view(np.uint8) << 7)
        used[:, byte + 1] = more
        rest = following
    out[:, width - 1] = rest
    return np.compress(used.ravel(), out.ravel()).tobytes()  # several times as fast as an index


def zigzag(numbers: NDArray[np.int64]) -> Numbers:
    """Signed numbers as unsigned ones, small where they are near to zero."""
    return ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)


def row_places(starts: Counts, counts: Counts) -> Counts:
    """The places of all elements of rows that start there and have so many, row by row."""
    before = np.cumsum(counts) - counts
    places: Counts = np.repeat(starts - before, counts) + np.arange(int(counts.sum()))
    return places


def row_sums(values: NDArray[Any], counts: Counts) -> Counts:
    """The sum of each row of values; rows have so many, and may have none."""
    sums = np.concatenate(([0], np.cumsum(values)))
    ends = np.cumsum(counts)
    return np.asarray(sums[ends] - sums[ends - counts], np.int64)
