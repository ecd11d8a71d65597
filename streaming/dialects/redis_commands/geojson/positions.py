"""Positions as arrays: read from text, projected, written as text. All of a value at once, but never many in one go of the interpreter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from pyproj import Transformer

from .crs import Crs

Floats = npt.NDArray[np.float64]

FEW = 64
PIECE_BYTES, PIECE = 256 * 1024, 8192
"""Bytes of numbers, and positions, for which the interpreter's lock is held at a time: a millisecond or two."""

HARD_PIECE = 64
"""Positions, some of which PROJ finds hard."""
MOST_DEGREES = 540.0
"""Longitudes beyond are nowhere: PROJ takes no more than ten radians."""
_STEPS, _STEPS_OF_MANY, MANY = 21, 5, 100
"""Places along each side of a box, and of each if there are many boxes."""

_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_MANY_DIGITS = b"0" * 20

_decode_floats = msgspec.json.Decoder(list[float]).decode
_encode = msgspec.json.Encoder().encode


class Positions:
    """Longitudes (or eastings), latitudes (or northings), and what else there is: heights."""

    def __init__(self, numbers: bytes, widths: bytes) -> None:
        """From numbers separated by commas, of which so many are one position. `msgspec.DecodeError` if one is out of range."""
        self._widths = widths
        self._numbers: list[float] | Floats = [*map(float, numbers_of(numbers))] if 0 < len(widths) <= FEW else _floats(numbers)
        self._width = widths[0] if widths and widths.count(widths[:1]) == len(widths) else 0
        """Of all of them; 0 if they differ."""

    def __len__(self) -> int:
        return len(self._widths)

    @property
    def few(self) -> bool:
        """Whether there are so few, and so alike, that lists are faster than arrays."""
        return 0 < len(self) <= FEW and self._width > 0

    def lists(self) -> tuple[list[float], list[float]]:
        """Longitudes and latitudes of few."""
        assert isinstance(self._numbers, list)
        return self._numbers[0 :: self._width], self._numbers[1 :: self._width]

    @cached_property
    def xs(self) -> Floats:
        """Longitudes, or eastings."""
        return self._column(0)

    @cached_property
    def ys(self) -> Floats:
        """Latitudes, or northings."""
        return self._column(1)

    @cached_property
    def _offsets(self) -> npt.NDArray[np.int64]:
        ends = np.cumsum(np.frombuffer(self._widths, np.uint8), dtype=np.int64)
        return np.concatenate((np.zeros(1, np.int64), ends[:-1]))

    def _column(self, number: int) -> Floats:
        numbers = np.asarray(self._numbers, np.float64)
        if not len(self):
            return numbers
        return np.ascontiguousarray(numbers[number :: self._width] if self._width else numbers[self._offsets + number])

    def written_few(self, xs: list[float], ys: list[float], start: int, end: int) -> bytes:
        """Some of few, as `written`."""
        numbers, width = self._numbers, self._width
        if width == 2:
            return _encode([*zip(xs[start:end], ys[start:end], strict=True)])[1:-1]
        return _encode([[xs[at], ys[at], *numbers[at * width + 2 : (at + 1) * width]] for at in range(start, end)])[1:-1]

    def written(self, xs: Floats, ys: Floats, start: int, end: int) -> bytes:
        """Some of them, with these coordinates instead and with their own heights: `[8.5,47.4],[8.6,47.5]`."""
        pieces = [self._written(xs, ys, at, min(at + PIECE, end)) for at in range(start, end, PIECE)]
        return b",".join(pieces) if len(pieces) > 1 else pieces[0]

    def written_each(self, xs: Floats, ys: Floats) -> list[bytes]:
        """All of them, one by one: `[8.5,47.4]`."""
        made: list[bytes] = []
        for start in range(0, len(self), PIECE):
            made += [b"[%b]" % one for one in self._written(xs, ys, start, min(start + PIECE, len(self)))[1:-1].split(b"],[")]
        return made

    def _written(self, xs: Floats, ys: Floats, start: int, end: int) -> bytes:
        if not self._width:
            return _encode(
                [
                    [x, y, *self._rest(at)]
                    for x, y, at in zip(xs[start:end].tolist(), ys[start:end].tolist(), range(start, end), strict=True)
                ]
            )[1:-1]
        step = self._width + 1
        slots: list[Any] = [None] * (step * (end - start))
        slots[0::step], slots[1::step] = xs[start:end].tolist(), ys[start:end].tolist()
        for number in range(2, self._width):
            slots[number::step] = np.asarray(self._numbers)[start * self._width + number : end * self._width : self._width].tolist()
        return b"[" + _encode(slots)[1:-6].replace(b",null,", b"],[") + b"]"

    def _rest(self, at: int) -> list[float]:
        start = int(self._offsets[at])
        return list(map(float, self._numbers[start + 2 : start + self._widths[at]]))


def project(transformer: Transformer, xs: Floats, ys: Floats) -> tuple[Floats, Floats]:
    """Positions in another CRS, infinite where it cannot express them.

    PROJ takes a hundred times as long for a position that it cannot express, and holds the interpreter's lock meanwhile. Those that are
    nowhere on the Earth it is not asked about, and where there are others it is asked about fewer at a time.
    """
    made_xs, made_ys = np.full(len(xs), np.inf), np.full(len(ys), np.inf)
    (earthly,) = np.nonzero((np.abs(xs) <= MOST_DEGREES) & (np.abs(ys) <= 90.0))
    start, count = 0, PIECE
    while start < len(earthly):
        some = earthly[start : start + count]
        made_xs[some], made_ys[some] = transformer.transform(xs[some], ys[some])
        start += count
        count = PIECE if np.isfinite(made_xs[some]).all() else HARD_PIECE
    return made_xs, made_ys


def numbers_of(text: bytes) -> list[float] | Floats:
    """Numbers separated by commas. `msgspec.DecodeError` if one is out of range.

    msgspec takes a thousand times as long as usual for numbers with large exponents or very many digits, and holds the interpreter's lock.
    """
    if b"e" not in text and b"E" not in text and _MANY_DIGITS not in text.translate(_DIGITS):
        return _decode_floats(b"[%b]" % text)
    numbers = np.fromstring(text, np.float64, sep=",")
    if not np.isfinite(numbers).all():
        raise msgspec.ValidationError("Number out of range")
    return numbers if len(numbers) > FEW * 2 else numbers.tolist()


def _floats(text: bytes) -> Floats:
    return np.concatenate([np.asarray(numbers_of(piece), np.float64) for piece in _pieces(text)] or [np.empty(0)])


def _pieces(text: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(text):
        comma = text.find(b",", start + PIECE_BYTES)
        end = len(text) if comma < 0 else comma
        yield text[start:end]
        start = end + 1


@np.errstate(all="ignore")
def projected_boxes(crs: Crs, boxes: Sequence[tuple[float, float, float, float]]) -> list[tuple[float, ...] | None]:
    """The bounds of boxes (degrees) in another CRS, in which their sides may be bent; None where it cannot express one of their sides."""
    assert crs.transformer is not None
    left, bottom, right, top = np.array(boxes, np.float64).reshape(-1, 4).T
    across = left > right
    right = np.where(across, right + 360.0, right)
    steps = _STEPS if len(boxes) <= MANY else _STEPS_OF_MANY
    share = np.linspace(0.0, 1.0, steps)
    along = left[:, None] + (right - left)[:, None] * share
    along[:, 1], along[:, 2] = np.where(across, 180.0, along[:, 1]), np.where(across, -180.0, along[:, 2])  # perhaps the ends of the world
    up = bottom[:, None] + (top - bottom)[:, None] * share
    sides = [(along, bottom[:, None]), (along, top[:, None]), (left[:, None], up), (right[:, None], up)]
    around_x = np.concatenate([np.broadcast_to(x, along.shape) for x, _ in sides], axis=1)
    around_y = np.concatenate([np.broadcast_to(y, along.shape) for _, y in sides], axis=1)
    xs, ys = (each.reshape(around_x.shape) for each in project(crs.transformer, around_x.ravel(), around_y.ravel()))
    bounds = np.stack([xs.min(axis=1), ys.min(axis=1), xs.max(axis=1), ys.max(axis=1)], axis=1)
    if crs.geographic:  # as it was: its left is greater than its right
        bounds[across, 0], bounds[across, 2] = xs[across, 2 * steps : 3 * steps].min(axis=1), xs[across, 3 * steps :].max(axis=1) - 360.0
    return [tuple(box.tolist()) if finite else None for box, finite in zip(bounds, np.isfinite(bounds).all(axis=1), strict=True)]
