"""Checks that an image holds no more than the pixels it declares, so that no client is sent a decompression bomb.

Decoders differ: data that one ignores, another decompresses. So all compressed data of a PNG is measured before the
tile is stored, and what no tile needs is refused: long compressed texts and colour profiles, animations, a JPEG with
very many scans. Pillow does not check this: it stops reading at the last pixel, so it accepts a PNG that goes on for
gigabytes. PNG: https://www.w3.org/TR/png-3/
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from streaming.core.errors import StreamError

MAX_CHUNKS = 10_000
MAX_COMPRESSED_BYTES = 16 * 1024
"""Bytes of all compressed texts and profiles together. They are not decompressed here; deflate makes at most a thousand
times as much."""
MAX_SCANS = 100
"""Scans of a JPEG. A progressive one has about ten. Decoding each may cost as much as the whole picture."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_COMPRESSED = {b"iCCP", b"zTXt", b"iTXt"}
_ANIMATED = {b"acTL", b"fcTL", b"fdAT"}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""For each pass of an interlaced PNG: first column, first row, step between columns, step between rows."""
_START_OF_SCAN = b"\xff\xda"
_WEBP_ANIMATION = 2


def check_image(data: bytes, format: str) -> None:
    """`StreamError("invalid_tile")` for a bomb, an animation, or a PNG that is cut off.

    Check the declared size before.
    """
    if format == "png":
        _check_png(data)
    elif format == "jpg" and data.count(_START_OF_SCAN) > MAX_SCANS:
        raise _refusal(f"it is drawn in more than {MAX_SCANS} scans")
    elif format == "webp" and data[12:16] == b"VP8X" and data[20] & _WEBP_ANIMATION:
        raise _refusal("it is an animation")


def _check_png(data: bytes) -> None:
    expected = compressed = 0
    pixels = _PixelCounter()
    for kind, body in _chunks(data):
        if kind == b"IHDR":
            expected = _raw_bytes(body)
        elif kind == b"IDAT":
            pixels.add(body, expected)
        elif kind in _ANIMATED:
            raise _refusal("it is an animation")
        elif kind in _COMPRESSED:
            compressed += len(body)
    if compressed > MAX_COMPRESSED_BYTES:
        raise _refusal(f"its texts and colour profiles are longer than {MAX_COMPRESSED_BYTES:,} bytes; leave them out")


class _PixelCounter:
    """Decompresses the pixels of a PNG and counts their bytes, without keeping them."""

    def __init__(self) -> None:
        self._unzip = zlib.decompressobj()
        self._found = 0

    def add(self, data: bytes, expected: int) -> None:
        """Count one chunk. `expected` is how many bytes all chunks may have."""
        if self._unzip.eof:
            return
        try:
            self._found += len(self._unzip.decompress(data, expected + 1 - self._found))
        except zlib.error as error:
            raise _refusal("its pixels are damaged") from error
        if self._found > expected:
            raise _refusal("it unpacks to more than the pixels it says it has")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of each chunk before the last one, which must be there."""
    at = 8
    for _ in range(MAX_CHUNKS):
        if at + 12 > len(data):
            raise _refusal("it is cut off")
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            return
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length
    raise _refusal(f"it is in more than {MAX_CHUNKS:,} pieces")


def _raw_bytes(header: bytes) -> int:
    """How many bytes the pixels have when they are decompressed. Each row has one more byte, for its filter."""
    try:
        width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
        bits = depth * _CHANNELS[colour]
    except (struct.error, KeyError) as error:
        raise _refusal("its beginning is damaged") from error
    if not interlaced:
        return _rows(width, height, bits)
    return sum(_rows(_steps(width, x, across), _steps(height, y, down), bits) for x, y, across, down in _ADAM7)


def _rows(width: int, height: int, bits: int) -> int:
    return height * (1 + (width * bits + 7) // 8) if width else 0


def _steps(length: int, first: int, step: int) -> int:
    return max(0, (length - first + step - 1) // step)


def _refusal(why: str) -> StreamError:
    return StreamError("invalid_tile", f"the tile cannot be taken: {why}")
