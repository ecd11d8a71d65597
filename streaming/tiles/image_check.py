"""Whether an image holds no more than the pixels it says, so that no viewer is sent a decompression bomb.

Decoders differ: what one leaves alone, the next unpacks. So all that is compressed in a PNG is measured before the tile is stored, and
what no tile needs is refused: long compressed texts and colour profiles, animations, a JPEG that is drawn a thousand times over itself.
PNG: https://www.w3.org/TR/png-3/
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from streaming.core.errors import StreamError

MAX_CHUNKS = 10_000
MAX_PACKED_BYTES = 16 * 1024
"""Of all compressed texts and profiles together, which are not unpacked here: they become at most a thousand times as long."""
MAX_SCANS = 100
"""Of a JPEG; a progressive one has about ten. Each may cost as much as the whole picture."""
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PACKED = {b"iCCP", b"zTXt", b"iTXt"}
_ANIMATED = {b"acTL", b"fcTL", b"fdAT"}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""For each pass of an interlaced PNG: first column, first row, and how many columns and rows apart the next are."""
_START_OF_SCAN = b"\xff\xda"
_WEBP_ANIMATION = 2


def check_image(data: bytes, format: str) -> None:
    """`StreamError("invalid_tile")` for a bomb, an animation, or a PNG that is cut off. Of a size that was found to be allowed."""
    if format == "png":
        _check_png(data)
    elif format == "jpg" and data.count(_START_OF_SCAN) > MAX_SCANS:
        raise _refused(f"it is drawn in more than {MAX_SCANS} scans")
    elif format == "webp" and data[12:16] == b"VP8X" and data[20] & _WEBP_ANIMATION:
        raise _refused("it is an animation")


def _check_png(data: bytes) -> None:
    expected = packed = 0
    pixels = _Pixels()
    for kind, body in _chunks(data):
        if kind == b"IHDR":
            expected = _raw_bytes(body)
        elif kind == b"IDAT":
            pixels.add(body, expected)
        elif kind in _ANIMATED:
            raise _refused("it is an animation")
        elif kind in _PACKED:
            packed += len(body)
    if packed > MAX_PACKED_BYTES:
        raise _refused(f"its texts and colour profiles are longer than {MAX_PACKED_BYTES:,} bytes; leave them out")


class _Pixels:
    """Counts what is unpacked, and keeps nothing of it."""

    def __init__(self) -> None:
        self._unzip = zlib.decompressobj()
        self._found = 0

    def add(self, packed: bytes, expected: int) -> None:
        if self._unzip.eof:
            return
        try:
            self._found += len(self._unzip.decompress(packed, expected + 1 - self._found))
        except zlib.error as error:
            raise _refused("its pixels are damaged") from error
        if self._found > expected:
            raise _refused("it unpacks to more than the pixels it says it has")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk before the end, which has to be there."""
    at = 8
    for _ in range(MAX_CHUNKS):
        if at + 12 > len(data):
            raise _refused("it is cut off")
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            return
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length
    raise _refused(f"it is in more than {MAX_CHUNKS:,} pieces")


def _raw_bytes(header: bytes) -> int:
    """How many bytes the pixels are, each row with one for its filter."""
    try:
        width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
        bits = depth * _CHANNELS[colour]
    except (struct.error, KeyError) as error:
        raise _refused("its beginning is damaged") from error
    if not interlaced:
        return _rows(width, height, bits)
    return sum(_rows(_apart(width, x, across), _apart(height, y, down), bits) for x, y, across, down in _ADAM7)


def _rows(width: int, height: int, bits: int) -> int:
    return height * (1 + (width * bits + 7) // 8) if width else 0


def _apart(length: int, first: int, step: int) -> int:
    return max(0, (length - first + step - 1) // step)


def _refused(why: str) -> StreamError:
    return StreamError("invalid_tile", f"the tile cannot be taken: {why}")
