"""Deltas: what changed from one version of a tile to the next, as bytes.

A delta can only be applied to the very version that it starts from; the caller knows who holds that. `xor+zstd` and
`patch+webp` are for pixels that are decoded without loss (arrays), `prefix+zstd` and `upstream` are for bytes. Deltas
are not trusted: whatever one holds, applying it results in a tile of bounded size or in a `StreamError`. Server and
clients use this module: it needs no Django.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, overload

import numpy as np
import zstandard
from numpy.typing import NDArray

from ..core.errors import StreamError
from . import images
from .prefix_deltas import LEVEL, MAX_SIZE, apply_prefix, decompress, encode_prefix, not_applicable, too_large

Pixels = NDArray[Any]
"""Pixels, rows first: uint8 RGBA of shape (height, width, 4), or any shape of integers or floats."""
PATCH_WORTH = 0.3
"""A patch is not tried if it would have to be smaller than this share of the same part of the whole tile.

Lossless WebP of a tile is 0.5-0.8 of its PNG.
"""
_MAX_PATCH_SIDE = 16_383
"""WebP's own limit."""

_CHANGE = np.dtype([("index", "<u4"), ("value", "u1")])
_POSITION = struct.Struct("<HH")
"""Column and row of a patch's first pixel."""


class _Contexts(threading.local):
    """zstd's contexts, one pair for each thread: they are expensive to make and must not be shared."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


_contexts = _Contexts()


def _arrays(base: object, new: object) -> bool:
    if not (isinstance(base, np.ndarray) and isinstance(new, np.ndarray)):
        return False
    return base.shape == new.shape and base.dtype.kind in "uif" and _little(base.dtype) == _little(new.dtype)


def _bytes(base: object, new: object) -> bool:
    return isinstance(base, bytes) and isinstance(new, bytes)


def _little(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype.newbyteorder("<")


def _raw(pixels: Pixels) -> NDArray[np.uint8]:
    """The bytes in C order, with little-endian numbers on every machine."""
    return np.ascontiguousarray(pixels, _little(pixels.dtype)).reshape(-1).view(np.uint8)


def _encode_xor(base: Pixels, new: Pixels) -> bytes:
    return _contexts.compressor.compress(np.bitwise_xor(_raw(base), _raw(new)).data)


def _apply_xor(base: Pixels, delta: bytes, max_size: int) -> Pixels:
    before = _raw(base)
    difference = decompress(_contexts.decompressor, delta, max_size)
    if len(difference) != before.size:
        raise not_applicable(f"it holds {len(difference)} bytes, the tile {before.size}")
    after = np.bitwise_xor(before, np.frombuffer(difference, np.uint8))
    return after.view(_little(base.dtype)).reshape(base.shape).astype(base.dtype, copy=False)


def _both_rgba(base: object, new: object) -> bool:
    """Whether both are 8-bit RGBA."""
    if not (isinstance(base, np.ndarray) and isinstance(new, np.ndarray)):
        return False
    shape = base.shape
    if shape != new.shape or base.dtype != np.uint8 or new.dtype != np.uint8:
        return False
    return len(shape) == 3 and shape[2] == 4 and 0 < shape[0] <= _MAX_PATCH_SIDE and 0 < shape[1] <= _MAX_PATCH_SIDE


def _changed_box(base: Pixels, new: Pixels) -> tuple[slice, slice]:
    """Rows and columns around all pixels that differ; the first pixel if none does, because a patch must have pixels."""
    differs = np.ascontiguousarray(base).view("<u4")[..., 0] != np.ascontiguousarray(new).view("<u4")[..., 0]
    rows, columns = (np.flatnonzero(differs.any(axis)) for axis in (1, 0))
    if not rows.size:
        return slice(0, 1), slice(0, 1)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _encode_patch(base: Pixels, new: Pixels) -> bytes:
    rows, columns = _changed_box(base, new)
    return _POSITION.pack(columns.start, rows.start) + images.lossless_webp(new[rows, columns])


def _apply_patch(base: Pixels, delta: bytes, max_size: int) -> Pixels:
    if base.nbytes > max_size:
        raise too_large(base.nbytes, max_size)
    x, y = _position(delta)
    patch = delta[_POSITION.size :]
    if images.sniff(patch) != "webp":
        raise not_applicable("it holds no WebP image")
    width, height = images.image_size(patch)
    if x + width > base.shape[1] or y + height > base.shape[0]:
        raise not_applicable(f"it changes {width} x {height} pixels at {x}, {y} of a tile of {base.shape[1]} x {base.shape[0]}")
    new = base.copy()
    new[y : y + height, x : x + width] = images.decode_pixels(patch, max_side=max(width, height))
    return new


def _position(delta: bytes) -> tuple[int, int]:
    if len(delta) < _POSITION.size:
        raise not_applicable("it does not say where it begins")
    x, y = _POSITION.unpack_from(delta)
    return x, y


def _patch_may_win(base: Pixels, new: Pixels, full: int, best: int) -> bool:
    """Whether a patch can be smaller than `best` bytes, judged by its box and the size of the whole tile, `full`.

    Encoding WebP takes 1-5 ms, judging 0.1 ms.
    """
    rows, columns = _changed_box(base, new)
    share: float = (rows.stop - rows.start) * (columns.stop - columns.start) / (new.shape[0] * new.shape[1])
    return share * full * PATCH_WORTH < best


def _encode_upstream(base: bytes, new: bytes) -> bytes:
    """u32 new length; then u32 index and u8 value of each byte that differs or is beyond the old length; little-endian."""
    before, after = np.frombuffer(base, np.uint8), np.frombuffer(new, np.uint8)
    kept = min(before.size, after.size)
    differing = np.flatnonzero(before[:kept] != after[:kept])
    indices = np.concatenate((differing, np.arange(kept, after.size)))
    changes = np.empty(indices.size, _CHANGE)
    changes["index"], changes["value"] = indices, after[indices]
    return len(new).to_bytes(4, "little") + changes.tobytes()


def _apply_upstream(base: bytes, delta: bytes, max_size: int) -> bytes:
    if len(delta) % _CHANGE.itemsize != 4:
        raise not_applicable("it is not a length and whole changes")
    size = int.from_bytes(delta[:4], "little")
    if size > max_size:
        raise too_large(size, max_size)
    changes = np.frombuffer(delta, _CHANGE, offset=4)
    if (changes["index"] >= size).any():
        raise not_applicable("it changes a byte beyond the end")
    new = np.zeros(size, np.uint8)
    kept = min(len(base), size)
    new[:kept] = np.frombuffer(base, np.uint8, kept)
    new[changes["index"]] = changes["value"]
    return new.tobytes()


class _Encoding(NamedTuple):
    """One kind of delta.

    `takes`: whether there can be a delta between these two versions. `may_win`: whether one can be smaller than the best
    so far, given the sizes of the whole tile and of the best.
    """

    takes: Callable[[object, object], bool]
    encode: Callable[[Any, Any], bytes]
    apply: Callable[[Any, bytes, int], Any]
    may_win: Callable[[Any, Any, int, int], bool] = lambda base, new, full, best: True


_ENCODINGS = {
    "xor+zstd": _Encoding(_arrays, _encode_xor, _apply_xor),
    "patch+webp": _Encoding(_both_rgba, _encode_patch, _apply_patch, _patch_may_win),
    "prefix+zstd": _Encoding(_bytes, encode_prefix, apply_prefix),
    "upstream": _Encoding(_bytes, _encode_upstream, _apply_upstream),
}
ENCODINGS = tuple(_ENCODINGS)
"""The names of the encodings that a client may ask for."""
PIXEL_ENCODINGS = frozenset({"xor+zstd", "patch+webp"})
"""The encodings between pixels; the others are between bytes."""


@overload
def encode(encoding: str, base: bytes, new: bytes) -> bytes: ...
@overload
def encode(encoding: str, base: Pixels, new: Pixels) -> bytes: ...
def encode(encoding: str, base: bytes | Pixels, new: bytes | Pixels) -> bytes:
    """Encode a delta; between equal versions it changes nothing.

    `StreamError` for an unknown encoding, ValueError for what it cannot express: arrays must agree in shape and dtype,
    and be 8-bit RGBA for patch+webp.
    """
    found = _find(encoding)
    if not found.takes(base, new):
        raise ValueError(f"there is no {encoding} delta between these two")
    return found.encode(base, new)


@overload
def apply(encoding: str, base: bytes, delta: bytes, max_size: int = MAX_SIZE) -> bytes: ...
@overload
def apply(encoding: str, base: Pixels, delta: bytes, max_size: int = MAX_SIZE) -> Pixels: ...
def apply(encoding: str, base: bytes | Pixels, delta: bytes, max_size: int = MAX_SIZE) -> bytes | Pixels:
    """Apply a delta; returns the new version, and `base` stays as it is.

    `StreamError`: `too_large` beyond `max_size` bytes, `bad_frame` if it is no such delta.
    """
    found = _find(encoding)
    if not found.takes(base, base):
        raise StreamError("bad_request", f"{encoding} does not apply to a tile held as {type(base).__name__}")
    new: bytes | Pixels = found.apply(base, delta, max_size)
    return new


def smallest(offered: Collection[str], base: bytes | Pixels, new: bytes | Pixels, full: bytes) -> tuple[str | None, bytes]:
    """The smallest of `full` (encoding None) and the deltas that a client offers to apply; `full` if sizes are equal.

    `base` and `new` are what the client holds: arrays if it keeps pixels, else bytes. A client that keeps pixels has no
    bytes to apply the next delta to, so a subscription keeps to one of the two. Unknown encodings are ignored.
    """
    best: tuple[str | None, bytes] = None, full
    for name, encoding in _ENCODINGS.items():
        if name in offered and encoding.takes(base, new) and encoding.may_win(base, new, len(full), len(best[1])):
            delta = encoding.encode(base, new)
            if len(delta) < len(best[1]):
                best = name, delta
    return best


def _find(encoding: str) -> _Encoding:
    if encoding not in _ENCODINGS:
        raise StreamError("bad_request", f"unknown delta encoding {encoding[:50]!r}; there are {', '.join(_ENCODINGS)}")
    return _ENCODINGS[encoding]
