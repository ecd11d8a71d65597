"""Compresses zstd frames, and decompresses those of untrusted peers.

Two things never go wrong here: no frame, however it lies about its size, makes more than the caller's limit of bytes; and no peer is sent a
frame that it cannot read. Rust peers of `oxigdal-ws` write compressed blocks of their own making (`oxiarc_zstd`), which only they can
read; what they and everybody else can read is a stored frame.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import NamedTuple

import zstandard

from ...core.errors import StreamError
from .oxiarc_zstd import decompress_frame
from .zstd_frame import BLOCK_MAX, MAGIC, CorruptFrame, Frame, parse_frame

LEVEL = 3
WINDOW_MAX = 8 << 20
"""What RFC 8878 recommends that every decoder supports, in bytes; larger windows are refused."""


class Unwrapped(NamedTuple):
    """A frame's content. `upstream`: the frame came, or may have come, from a peer that cannot read standard compressed blocks."""

    data: bytes
    upstream: bool


class _Engines(threading.local):
    """zstd's contexts are expensive to make and must not be shared between threads."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=LEVEL)
        self.decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX)
        self.summer = zstandard.ZstdCompressor(level=1, write_checksum=True)


_engines = _Engines()


def compress(data: bytes) -> bytes:
    """A standard zstd frame."""
    return _engines.compressor.compress(data)


def store(data: bytes) -> bytes:
    """A zstd frame that holds the bytes as they are: every peer can read it."""
    size = len(data)
    if size < 0x100:
        header = b"\x20" + size.to_bytes(1, "little")
    elif size < 0x10100:
        header = b"\x60" + (size - 0x100).to_bytes(2, "little")
    else:
        header = b"\xa0" + size.to_bytes(4, "little")
    parts = [MAGIC, header]
    for at in range(0, size or 1, BLOCK_MAX):
        part = data[at : at + BLOCK_MAX]
        last = at + BLOCK_MAX >= size
        parts += ((last | len(part) << 3).to_bytes(3, "little"), part)
    return b"".join(parts)


class ForeignDictionary:
    """A trained dictionary of the other side, ready to decompress. ValueError if it is none."""

    def __init__(self, data: bytes) -> None:
        try:
            trained = zstandard.ZstdCompressionDict(data, dict_type=zstandard.DICT_TYPE_FULLDICT)
            self.decompressor = zstandard.ZstdDecompressor(dict_data=trained, max_window_size=WINDOW_MAX)
            self.id = trained.dict_id()
            self._check()
        except zstandard.ZstdError as error:
            raise ValueError(f"it is no zstd dictionary: {error}") from None

    def _check(self) -> None:
        """zstd reads a dictionary only when it is first used."""
        if not self.id:
            raise ValueError("it is no zstd dictionary: it has no id")
        stored = store(b"")
        self.decompressor.decompress(stored, max_output_size=1)


def decompress(frame: bytes, max_size: int, dictionaries: Mapping[int, ForeignDictionary] | None = None) -> Unwrapped:
    """The content of the first frame in `frame`. Raises StreamError: `too_large` beyond `max_size` bytes, else `bad_frame`.

    `dictionaries` are those that a frame may name, by id; one that names another is refused.
    """
    try:
        parsed = parse_frame(frame)
        if parsed.content_size is not None and parsed.content_size > max_size:
            raise _too_large(max_size)
        if parsed.dictionary:
            return Unwrapped(_with_dictionary(parsed, max_size, dictionaries or {}), upstream=False)
        try:
            data = _standard(parsed, max_size)
        except zstandard.ZstdError:
            return Unwrapped(_dialect(parsed, max_size), upstream=True)
    except CorruptFrame as error:
        raise StreamError("bad_frame", f"the zstd frame cannot be decompressed: {error}") from None
    return Unwrapped(data, upstream=_may_be_upstream(parsed))


def _with_dictionary(frame: Frame, max_size: int, dictionaries: Mapping[int, ForeignDictionary]) -> bytes:
    known = dictionaries.get(frame.dictionary)
    if known is None:
        raise CorruptFrame(f"the dictionary {frame.dictionary} is not known here")
    try:
        return _standard(frame, max_size, known.decompressor)
    except zstandard.ZstdError as error:
        raise CorruptFrame(str(error)) from None


def _standard(frame: Frame, max_size: int, decompressor: zstandard.ZstdDecompressor | None = None) -> bytes:
    limit = min(frame.most, max_size) + 1
    with (decompressor or _engines.decompressor).stream_reader(frame.data) as reader:
        data = reader.read(limit)
    if len(data) > max_size:
        raise _too_large(max_size)
    return data


def _dialect(frame: Frame, max_size: int) -> bytes:
    if frame.checksum is None or frame.content_size is None:
        raise CorruptFrame("it is not valid zstd")
    data = decompress_frame(frame, min(frame.content_size, max_size))
    # the checksum is the low half of XXH64, which the zstd library computes but does not expose: it ends every frame it writes with it
    if len(data) != frame.content_size or _engines.summer.compress(data)[-4:] != frame.checksum:
        raise CorruptFrame("its checksum or size is wrong")
    return data


def _may_be_upstream(frame: Frame) -> bool:
    """Upstream always writes one segment with a checksum; a standard compressed block proves that it was somebody else."""
    return frame.single_segment and frame.checksum is not None and not frame.has_compressed_blocks


def _too_large(max_size: int) -> StreamError:
    return StreamError("too_large", f"the message decompresses to more than {max_size} bytes")
