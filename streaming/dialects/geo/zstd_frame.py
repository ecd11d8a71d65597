"""Parses the structure of a zstd frame (RFC 8878, section 3.1.1): header, block headers, checksum.

Read before anything is decompressed, so that a truncated or oversized frame is refused without any memory being spent on it.
"""

from __future__ import annotations

from dataclasses import dataclass

MAGIC = b"\x28\xb5\x2f\xfd"
BLOCK_MAX = 0x20000
RAW, RLE, COMPRESSED = 0, 1, 2
BLOCKS_MAX = 1024
"""Full blocks of 128 MiB. A frame of many tiny blocks costs far more memory than it has bytes."""

_DICTIONARY_BYTES = (0, 1, 2, 4)
_SIZE_BYTES = (0, 2, 4, 8)


class CorruptFrame(Exception):
    """The bytes are not a whole, valid frame."""


@dataclass(frozen=True, slots=True)
class Block:
    """`size` counts the bytes that a raw or RLE block stands for; `content` is what the frame holds of it."""

    kind: int
    size: int
    content: memoryview


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, taken apart. `data` ends where the frame ends: what follows it is ignored. `dictionary` is an id, 0 for none."""

    data: memoryview
    dictionary: int
    content_size: int | None
    single_segment: bool
    checksum: bytes | None
    blocks: tuple[Block, ...]

    @property
    def most(self) -> int:
        """The most bytes that it can decompress to."""
        if self.content_size is not None:
            return self.content_size
        return sum(BLOCK_MAX if block.kind == COMPRESSED else block.size for block in self.blocks)

    @property
    def has_compressed_blocks(self) -> bool:
        """Whether any block is more than raw bytes or one byte repeated."""
        return any(block.kind == COMPRESSED for block in self.blocks)


def most_size(data: bytes) -> int:
    """The most bytes that the first frame in `data` can decompress to; none if it is not whole."""
    try:
        return parse_frame(data).most
    except CorruptFrame:
        return 0


def parse_frame(data: bytes) -> Frame:
    """The first frame in `data`. Raises CorruptFrame if it is not whole."""
    view = memoryview(data)
    if data[:4] != MAGIC:
        raise CorruptFrame("no zstd magic number")
    descriptor = _take(view, 4, 1)[0]
    single = bool(descriptor & 0x20)
    at = 5 + (0 if single else 1)
    named = _DICTIONARY_BYTES[descriptor & 3]
    dictionary = int.from_bytes(_take(view, at, named), "little")
    at += named
    width = _SIZE_BYTES[descriptor >> 6] or (1 if single else 0)
    size = int.from_bytes(_take(view, at, width), "little") + (256 if width == 2 else 0) if width else None
    blocks, at = _blocks(view, at + width)
    checksum = bytes(_take(view, at, 4)) if descriptor & 0x04 else None
    return Frame(view[: at + (4 if checksum else 0)], dictionary, size, single, checksum, blocks)


def _blocks(view: memoryview, at: int) -> tuple[tuple[Block, ...], int]:
    blocks: list[Block] = []
    last = False
    while not last:
        header = int.from_bytes(_take(view, at, 3), "little")
        last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        if size > BLOCK_MAX or kind > COMPRESSED or len(blocks) == BLOCKS_MAX:
            raise CorruptFrame("an impossible block header, or too many blocks")
        held = 1 if kind == RLE else size
        blocks.append(Block(kind, size, _take(view, at + 3, held)))
        at += 3 + held
    return tuple(blocks), at


def _take(view: memoryview, at: int, size: int) -> memoryview:
    part = view[at : at + size]
    if len(part) < size:
        raise CorruptFrame("the frame is truncated")
    return part
