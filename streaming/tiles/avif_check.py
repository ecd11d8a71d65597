"""Checks that an AVIF file holds no larger and no more pictures than it declares, before any of it is decoded.

A decoder makes room for the size that the AV1 stream itself says, which need not be that of the file around it. So the boxes of the file
are followed to each picture, and its sequence headers are read. What no tile needs is refused: animations, and pictures that are put
together from others. ISO/IEC 14496-12 and 23008-12; AV1 bitstream specification, section 5.5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from streaming.core.errors import StreamError

MAX_PICTURES = 4
"""The picture, its alpha, and previews."""
MAX_FRAMES = 8
"""Frames and their headers of one picture; more than one are layers of growing quality."""
_OTHER_ITEMS = {b"Exif", b"mime"}
_SEQUENCE_HEADER = 1
_FRAMES = {3, 6}  # headers and whole frames


def check_avif(data: bytes, width: int, height: int) -> None:
    """`StreamError("invalid_tile")` unless it is one still picture of at most this size."""
    try:
        boxes = dict(_boxes(data, 0, len(data)))
        if data[8:12] == b"avis" or b"moov" in boxes:
            raise _refusal("it is an animation")
        meta = dict(_boxes(data, boxes[b"meta"][0] + 4, boxes[b"meta"][1]))
        pictures = {item: kind for item, kind in _items(data, *meta[b"iinf"]) if kind not in _OTHER_ITEMS}
        if set(pictures.values()) != {b"av01"} or len(pictures) > MAX_PICTURES:
            raise _refusal("it is put together from several pictures")
        for item, start, end in _extents(data, meta):
            if item in pictures:
                _check_stream(data[start:end], width, height)
    except (struct.error, IndexError, KeyError, ValueError):
        raise _refusal("its beginning is damaged") from None


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Name, and where the content begins and ends."""
    while at + 8 <= end:
        length, name = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        stop = end if length == 0 else at + length
        if not start <= stop <= end:
            raise ValueError
        yield name, (start, stop)
        at = stop


def _items(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Numbers and kinds of the items."""
    wide = data[start] > 0
    for name, (at, _) in _boxes(data, start + 4 + (4 if wide else 2), end):
        if name != b"infe" or data[at] not in (2, 3):
            raise ValueError
        size = 2 if data[at] == 2 else 4
        yield _Bytes(data, at + 4).number(size), data[at + 6 + size :][:4]


def _extents(data: bytes, meta: dict[bytes, tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """The number of each item, and where its bytes are. One in several pieces is refused: no program writes tiles so."""
    at, _ = meta[b"iloc"]
    version, sizes = data[at], struct.unpack_from(">H", data, at + 4)[0]
    offset_size, length_size, base_size, index_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15 if version else 0
    reader = _Bytes(data, at + 6)
    for _ in range(reader.number(2 if version < 2 else 4)):
        item = reader.number(2 if version < 2 else 4)
        inside = bool(version and reader.number(2) & 15)
        reader.number(2)
        base = reader.number(base_size)
        if reader.number(2) != 1:
            raise _refusal("it is put together from several pieces")
        reader.number(index_size)
        start = base + reader.number(offset_size) + (meta[b"idat"][0] if inside else 0)
        yield item, start, start + reader.number(length_size)


def _check_stream(data: bytes, width: int, height: int) -> None:
    """The open bitstream units of one picture."""
    at = frames = 0
    while at < len(data):
        head = data[at]
        kind, at = head >> 3 & 15, at + 1 + (head >> 2 & 1)
        length = len(data) - at
        if head & 2:
            length, at = _leb128(data, at)
        if kind == _SEQUENCE_HEADER:
            found = _frame_size(data[at : at + length])
            if found[0] > width or found[1] > height:
                raise _refusal(f"it unpacks to {found[0]} x {found[1]} pixels")
        frames += kind in _FRAMES
        if frames > MAX_FRAMES:
            raise _refusal("it is an animation")
        at += length


def _frame_size(header: bytes) -> tuple[int, int]:
    """The largest width and height that frames behind this sequence header may have."""
    bits = _Bits(header)
    bits.take(4)  # profile, still picture
    if bits.take(1):  # reduced header
        bits.take(5)
    else:
        _skip_operating_points(bits)
    wide, high = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(wide) + 1, bits.take(high) + 1


def _skip_operating_points(bits: _Bits) -> None:
    delay = 0
    if bits.take(1):  # timing
        bits.take(64)
        if bits.take(1):
            bits.unsigned()
        if bits.take(1):  # decoder model
            delay = bits.take(5) + 1
            bits.take(42)
    display_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay and bits.take(1):
            bits.take(2 * delay + 1)
        if display_delay and bits.take(1):
            bits.take(4)


class _Bytes:
    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def number(self, size: int) -> int:
        """The next number of so many bytes."""
        part = self._data[self._at : self._at + size]
        if len(part) != size:
            raise IndexError
        self._at += size
        return int.from_bytes(part)


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._number, self._left = int.from_bytes(data[:256]), 8 * len(data[:256])

    def take(self, count: int) -> int:
        """The next bits as a number."""
        self._left -= count
        if self._left < 0:
            raise IndexError
        return self._number >> self._left & (1 << count) - 1

    def unsigned(self) -> None:
        """Skip a number of variable length (uvlc)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        self.take(zeros)


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for index in range(8):
        byte = data[at + index]
        number |= (byte & 127) << 7 * index
        if byte < 128:
            return number, at + index + 1
    raise ValueError


def _refusal(why: str) -> StreamError:
    return StreamError("invalid_tile", f"the tile cannot be taken: {why}")
