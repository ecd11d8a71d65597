"""Numbers that come and go one by one, and what can be said of them exactly at any time: how many, sum, mean, least and greatest.

A floating-point number is an integer divided by a power of two, so the sum is kept as one too, without any rounding, and rounded once when
it is asked for. It therefore is the same whichever way the numbers came and went, and equals a recount.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterator
from math import isfinite
from typing import Any

import msgspec

CHUNK = 1000
"""Numbers in one array: what is moved to make room for one more."""
EXACT_INTEGER = 2**53
"""Up to here a floating-point number names one integer."""

Number = int | float


class ExactNumbers(msgspec.Struct, gc=False, eq=False):
    """A multiset of finite floating-point numbers: 8 bytes each, and a little for each thousand of them.

    The garbage collector passes over it: there may be one for each cell.
    """

    _count: int = 0
    _numerator: int = 0
    _shift: int = 0
    """The sum is numerator / 2 ** shift."""
    _chunks: tuple[Any, ...] = ()
    """Arrays in order; none is empty."""

    @classmethod
    def of(cls, ordered: array[float], numerator: int, shift: int) -> ExactNumbers:
        """Many at once: in ascending order, with their sum as `numerator / 2 ** shift`."""
        chunks = tuple(ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK))
        return cls(len(ordered), numerator, shift, chunks)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[float]:
        """In ascending order."""
        for chunk in self._chunks:
            yield from chunk

    def add(self, number: float) -> None:
        """One more."""
        self._sum_up(number, 1)
        self._count += 1
        if not self._chunks:
            self._chunks = (array("d", (number,)),)
            return
        at = min(self._chunk_of(number), len(self._chunks) - 1)
        chunk = self._chunks[at]
        insort(chunk, number)
        if len(chunk) > 2 * CHUNK:
            self._chunks = (*self._chunks[:at], chunk[:CHUNK], chunk[CHUNK:], *self._chunks[at + 1 :])

    def remove(self, number: float) -> None:
        """One less; ValueError if it is not there."""
        at = self._chunk_of(number)
        chunk = self._chunks[at] if at < len(self._chunks) else array("d")
        place = bisect_left(chunk, number)
        if place == len(chunk) or chunk[place] != number:
            raise ValueError(f"{number} is not there")
        del chunk[place]
        if not chunk:
            self._chunks = self._chunks[:at] + self._chunks[at + 1 :]
        self._sum_up(number, -1)
        self._count -= 1

    def summary(self) -> dict[str, Any]:
        """`count`, `max`, `mean`, `min` and `sum`; null for what no numbers have, or no floating-point number can express."""
        chunks = self._chunks
        return {
            "count": self._count,
            "max": plain(chunks[-1][-1]) if chunks else None,
            "mean": quotient(self._numerator, self._count << self._shift) if chunks else None,
            "min": plain(chunks[0][0]) if chunks else None,
            "sum": quotient(self._numerator, 1 << self._shift),
        }

    def _chunk_of(self, number: float) -> int:
        """The first chunk that does not end before the number."""
        chunks, low, high = self._chunks, 0, len(self._chunks)
        while low < high:
            middle = (low + high) // 2
            if chunks[middle][-1] < number:
                low = middle + 1
            else:
                high = middle
        return low

    def _sum_up(self, number: float, sign: int) -> None:
        numerator, denominator = number.as_integer_ratio()
        shift = denominator.bit_length() - 1
        if shift > self._shift:
            self._numerator <<= shift - self._shift
            self._shift = shift
        self._numerator += sign * (numerator << (self._shift - shift))


def as_number(value: Any) -> float | None:
    """A JSON value as a number to be summed up; None for everything else, true and false too."""
    if type(value) is float:
        return value if isfinite(value) else None
    if type(value) is int:
        return float(value)  # publishing refuses those beyond 64 bits
    return None


def quotient(numerator: int, denominator: int) -> Number | None:
    """A fraction, rounded once; None if it is too large for a floating-point number."""
    try:
        return plain(numerator / denominator)
    except OverflowError:
        return None


def plain(number: float) -> Number:
    """Whole numbers without a decimal point, as far as floating-point numbers name each of them."""
    return int(number) if number.is_integer() and abs(number) <= EXACT_INTEGER else number
