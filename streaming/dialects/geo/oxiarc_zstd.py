"""Decompresses the blocks that `oxiarc-zstd` writes, the zstd of Rust peers of `oxigdal-ws`.

Its frames follow RFC 8878, its compressed blocks do not: bits are read in the other direction, the fields of a sequence come in
another order, and offsets never use the repeat codes. Tables, baselines and distributions are the RFC's (sections 3.1.1.3.2 and 4.1).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from .zstd_frame import BLOCK_MAX, COMPRESSED, RLE, CorruptFrame, Frame

LENGTH_BASES = (*range(16), 16, 18, 20, 22, 24, 28, 32, 40, 48, *(1 << n for n in range(6, 17)))
LENGTH_BITS = (*[0] * 16, 1, 1, 1, 1, 2, 2, 3, 3, 4, *range(6, 17))
MATCH_BASES = (*range(3, 35), 35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, *((1 << n) + 3 for n in range(7, 17)))
MATCH_BITS = (*[0] * 32, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, *range(7, 17))

_LENGTHS = (4, 3, *[2] * 11, 1, 1, 1, *[2] * 9, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1)
_OFFSETS = (1, 1, 1, 1, 1, 1, 2, 2, 2, *[1] * 15, *[-1] * 5)
_MATCHES = (1, 4, 3, 2, 2, 2, 2, 2, 2, *[1] * 37, *[-1] * 7)
_LENGTH_LOG, _OFFSET_LOG, _MATCH_LOG = 6, 5, 6
_MOST_OFFSET_CODE = 31
_OVERRUN = 64
"""Bits. Unbounded, a frame of a hundred bytes could ask for hundreds of thousands of sequences made of nothing."""


class _State(NamedTuple):
    symbol: int
    bits: int
    base: int


class _Table(NamedTuple):
    log: int
    states: tuple[_State, ...]


class _Bits:
    """A block's bit stream: from the last byte to the first, within each byte from the least significant bit."""

    def __init__(self, data: memoryview) -> None:
        if not data or not data[-1]:
            raise CorruptFrame("the bit stream has no end mark")
        used = data[-1].bit_length() - 1
        value = int.from_bytes(bytes(data[:-1])[::-1], "little") << used | (data[-1] - (1 << used))
        self._stream = value.to_bytes(len(data), "little")
        self._end = 8 * len(data) + _OVERRUN
        self._at = 0

    def read(self, *counts: int) -> tuple[int, ...]:
        """The next numbers of so many bits each, together at most 81 bits; zeros for a little after the end, as upstream reads them."""
        at = self._at
        if at > self._end:
            raise CorruptFrame("more sequences than the bit stream has")
        window = int.from_bytes(self._stream[at >> 3 : (at >> 3) + 11], "little") >> (at & 7)
        numbers = []
        for count in counts:
            numbers.append(window & ((1 << count) - 1))
            window >>= count
            at += count
        self._at = at
        return tuple(numbers)


def decompress_frame(frame: Frame, max_size: int) -> bytes:
    """The frame's content, not yet compared with its checksum. Raises CorruptFrame, also if there is more than `max_size`."""
    out = bytearray()
    for block in frame.blocks:
        if block.kind == COMPRESSED:
            out += _block(block.content, min(BLOCK_MAX, max_size - len(out)))
        elif block.size > max_size - len(out):
            raise CorruptFrame("more content than announced")
        else:
            out += bytes(block.content) * block.size if block.kind == RLE else block.content
    return bytes(out)


def _block(content: memoryview, room: int) -> bytearray:
    literals, at = _literals(content, room)
    count, at = _sequence_count(content, at)
    if not count:
        return bytearray(literals)
    tables, at = _tables(content, at)
    return _sequences(_Bits(content[at:]), tables, count, literals, room)


def _literals(content: memoryview, room: int) -> tuple[bytes, int]:
    first = _byte(content, 0)
    kind, form = first & 3, first >> 2 & 3
    header = (1, 2, 1, 3)[form]
    size = int.from_bytes(content[:header], "little") >> (3 if header == 1 else 4)
    if kind > RLE or size > room:
        raise CorruptFrame("literals of an unknown kind or too many of them")
    if kind == RLE:
        return bytes((_byte(content, header),)) * size, header + 1
    if header + size > len(content):
        raise CorruptFrame("the literals are truncated")
    return bytes(content[header : header + size]), header + size


def _sequence_count(content: memoryview, at: int) -> tuple[int, int]:
    first = _byte(content, at)
    if first < 128:
        return first, at + 1
    if first < 255:
        return (first - 128 << 8) + _byte(content, at + 1), at + 2
    return _byte(content, at + 1) + (_byte(content, at + 2) << 8) + 0x7F00, at + 3


def _tables(content: memoryview, at: int) -> tuple[tuple[_Table, _Table, _Table], int]:
    modes = _byte(content, at)
    at += 1
    tables: list[_Table] = []
    for shift, log, shares, most in (
        (6, _LENGTH_LOG, _LENGTHS, len(LENGTH_BASES) - 1),
        (4, _OFFSET_LOG, _OFFSETS, _MOST_OFFSET_CODE),
        (2, _MATCH_LOG, _MATCHES, len(MATCH_BASES) - 1),
    ):
        mode = modes >> shift & 3
        if mode == 0:
            tables.append(_predefined(log, shares))
            continue
        symbol = _byte(content, at)
        if mode != 1 or symbol > most:
            raise CorruptFrame("a table of an unknown kind")
        tables.append(_Table(0, (_State(symbol, 0, 0),)))
        at += 1
    lengths, offsets, matches = tables
    return (lengths, offsets, matches), at


def _sequences(bits: _Bits, tables: tuple[_Table, _Table, _Table], count: int, literals: bytes, room: int) -> bytearray:
    lengths, offsets, matches = tables
    start = bits.read(lengths.log, offsets.log, matches.log)
    length, offset, match = lengths.states[start[0]], offsets.states[start[1]], matches.states[start[2]]
    out = bytearray()
    taken = 0
    for _ in range(count):
        code, plain_bits, copied_bits = offset.symbol, LENGTH_BITS[length.symbol], MATCH_BITS[match.symbol]
        numbers = bits.read(offset.bits, match.bits, length.bits, plain_bits, copied_bits, code)
        plain = LENGTH_BASES[length.symbol] + numbers[3]
        copied = MATCH_BASES[match.symbol] + numbers[4]
        distance = (1 << code) + numbers[5] - 3
        offset = offsets.states[offset.base + numbers[0]]
        match = matches.states[match.base + numbers[1]]
        length = lengths.states[length.base + numbers[2]]
        out += literals[taken : taken + plain]
        taken += plain
        if taken > len(literals) or len(out) + copied > room:
            raise CorruptFrame("a sequence leads out of the block")
        _copy(out, distance, copied)
    out += literals[taken:]
    if len(out) > room:
        raise CorruptFrame("more content than announced")
    return out


def _copy(out: bytearray, distance: int, count: int) -> None:
    if not 0 < distance <= len(out):
        raise CorruptFrame("a match starts before the block")
    start = len(out) - distance
    piece = bytes(out[start : start + count])
    out += (piece * (count // distance + 1))[:count] if distance < count else piece


@cache
def _predefined(log: int, shares: tuple[int, ...]) -> _Table:
    """RFC 8878, section 4.1.1: spread the symbols over the states, then number each symbol's states."""
    size = 1 << log
    symbols = [-1] * size
    high = size - 1
    for symbol, share in enumerate(shares):
        if share == -1:
            symbols[high] = symbol
            high -= 1
    at, step = 0, (size >> 1) + (size >> 3) + 3
    for symbol, share in enumerate(shares):
        for _ in range(share):
            symbols[at] = symbol
            at = at + step & size - 1
            while at > high:
                at = at + step & size - 1
    return _Table(log, _numbered(symbols, shares, log))


def _numbered(symbols: list[int], shares: tuple[int, ...], log: int) -> tuple[_State, ...]:
    following = [abs(share) for share in shares]
    states: list[_State] = []
    for symbol in symbols:
        number = following[symbol]
        following[symbol] += 1
        bits = log - (number.bit_length() - 1)
        states.append(_State(symbol, bits, (number << bits) - (1 << log)))
    return tuple(states)


def _byte(content: memoryview, at: int) -> int:
    if at >= len(content):
        raise CorruptFrame("the block is truncated")
    return content[at]
