"""Deltas between bytes: a zstd frame of the new version, with the old version as its dictionary.

It needs neither Django nor numpy.
"""

from __future__ import annotations

import zstandard

from ..core.errors import StreamError

MAX_SIZE = 8 << 20
"""Bytes of the largest tile that a delta may make."""
LEVEL = 3
"""zstd's level. Higher ones save a few per cent and take two to five times as long."""
LARGE = 1 << 20
LARGE_LEVEL = 6
"""The level beyond `LARGE` bytes, where level 3 no longer finds what stayed the same."""


def encode_prefix(base: bytes, new: bytes) -> bytes:
    """Encode a delta. It ends with a checksum, by which a reader notices that it holds another version."""
    level = LARGE_LEVEL if len(base) > LARGE else LEVEL
    return zstandard.ZstdCompressor(level=level, dict_data=_prefix(base), write_checksum=True).compress(new)


def apply_prefix(base: bytes, delta: bytes, max_size: int = MAX_SIZE) -> bytes:
    """Apply a delta. `StreamError`: `too_large` beyond `max_size` bytes, `bad_frame` if it is no such delta."""
    return decompress(zstandard.ZstdDecompressor(dict_data=_prefix(base)), delta, max_size)


def decompress(decompressor: zstandard.ZstdDecompressor, frame: bytes, max_size: int) -> bytes:
    """Decompress a frame. Its declared size is checked first, because zstd allocates it. Raises as `apply_prefix`."""
    try:
        size = zstandard.frame_content_size(frame)
        if size > max_size:
            raise too_large(size, max_size)
        if size < 0:
            raise not_applicable("the frame does not say how much it holds")
        return decompressor.decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise not_applicable(str(error)) from None


def not_applicable(reason: str) -> StreamError:
    """The error for bytes that are no delta, or not one of this tile."""
    return StreamError("bad_frame", f"the delta cannot be applied: {reason}")


def too_large(size: int, max_size: int) -> StreamError:
    """The error for a delta that makes a tile larger than is allowed."""
    return StreamError("too_large", f"the delta makes a tile of {size} bytes; at most {max_size} are taken")


def _prefix(base: bytes) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
