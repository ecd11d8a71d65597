"""Makes `fixtures/tile-deltas.json`: deltas as the server makes them, for the tests of the JavaScript client.

Old versions are pseudo-random or repeated text, which both sides can make, so that the file stays small. From the root of the project:
`python -m tests.js.make_tile_deltas`.
"""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from streaming.tiles.deltas import encode

FIXTURE = Path(__file__).parent / "fixtures" / "tile-deltas.json"
Edits = list[tuple[int, str]]


def random_bytes(length: int) -> bytes:
    """The same as in the test: a linear congruential generator."""
    made, seed = bytearray(), 1
    for _ in range(length):
        seed = seed * 48_271 % 0x7FFFFFFF
        made.append(seed >> 8 & 255)
    return bytes(made)


def edited(base: bytes, edits: Edits, length: int | None = None) -> bytes:
    """Some places overwritten, then cut or filled with zeros to a length."""
    new = bytearray(base)
    for place, text in edits:
        new[place : place + len(text)] = text.encode()
    return bytes(new if length is None else new[:length].ljust(length, b"\0"))


def prefix_without_checksum(base: bytes, new: bytes) -> bytes:
    dictionary = zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdCompressor(level=19, dict_data=dictionary, write_checksum=False).compress(new)


def xor(base: bytes, new: bytes) -> bytes:
    return encode("xor+zstd", np.frombuffer(base, np.uint8), np.frombuffer(new, np.uint8))


def case(
    name: str, encoding: str, length: int, edits: Edits, new_length: int | None = None, text: str = "", make: Any = None
) -> dict[str, Any]:
    base = (text * (length // len(text) + 1))[:length].encode() if text else random_bytes(length)
    new = edited(base, edits, new_length)
    delta = make(base, new) if make else encode(encoding, base, new)
    return {
        "name": name,
        "encoding": encoding,
        "length": length,
        "text": text,
        "edits": edits,
        "new_length": len(new),
        "delta": b64encode(delta).decode(),
    }


CASES = [
    case("a few bytes", "prefix+zstd", 6000, [(10, "harbour"), (5000, "road")]),
    case("no checksum, level 19", "prefix+zstd", 6000, [(10, "harbour")], make=prefix_without_checksum),
    case(
        "text, which is coded",
        "prefix+zstd",
        5000,
        [(7, "X"), (4000, "and what is new here, and some more of it")],
        text="name: way; lanes: 2; ",
    ),
    case("a base of three blocks", "prefix+zstd", 300_000, [(3, "first"), (140_000, "second"), (299_990, "last")]),
    case("exactly one block", "prefix+zstd", 131_072, [(131_000, "end")]),
    case("a base of four blocks", "prefix+zstd", 500_000, [(3, "first"), (450_000, "last")]),
    case("longer than before", "prefix+zstd", 2000, [(100, "x")], 70_000),
    case("nothing left", "prefix+zstd", 2000, [], 0),
    case("from nothing", "prefix+zstd", 0, [], 500),
    case("pixels", "xor+zstd", 64 * 64 * 4, [(100, "abcd"), (9000, "efgh")], make=xor),
    case("no pixel", "xor+zstd", 64 * 64 * 4, [], make=xor),
    case("a few bytes", "upstream", 600, [(10, "harbour"), (590, "end")]),
    case("shorter", "upstream", 600, [(10, "x")], 300),
    case("longer", "upstream", 600, [(10, "x")], 640),
    case("nothing left", "upstream", 600, [], 0),
]

if __name__ == "__main__":
    FIXTURE.parent.mkdir(exist_ok=True)
    FIXTURE.write_text("[\n" + ",\n".join(json.dumps(each) for each in CASES) + "\n]\n")
