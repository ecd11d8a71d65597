"""zstd frames: those of Rust peers, those everybody can read, and those of attackers."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.errors import StreamError
from streaming.dialects.geo.zstd import compress, decompress, store
from streaming.dialects.geo.zstd_frame import BLOCK_MAX, BLOCKS_MAX, MAGIC
from tests.dialects.geo.vectors import MESSAGES, RUST_FIRST_FRAME, ZSTD

LIMIT = 1 << 20
FRAMES = [bytes.fromhex(vector[form]) for vector in ZSTD for form in ("oxiarc_frame_hex", "libzstd_frame_hex", "stored_frame_hex")]


def _label(vector: dict[str, Any]) -> str:
    return str(vector["label"])


def _code(frame: bytes, limit: int = LIMIT) -> str:
    with pytest.raises(StreamError) as caught:
        decompress(frame, limit)
    return caught.value.code


def _block(kind: int, size: int, content: bytes, *, last: bool = False) -> bytes:
    return (last | kind << 1 | size << 3).to_bytes(3, "little") + content


@pytest.mark.parametrize("vector", ZSTD, ids=_label)
def test_frames_of_rust_peers_are_read_and_recognised(vector: dict[str, Any]) -> None:
    assert decompress(bytes.fromhex(vector["oxiarc_frame_hex"]), LIMIT) == (bytes.fromhex(vector["plain_hex"]), True)


@pytest.mark.parametrize("vector", ZSTD, ids=_label)
def test_standard_frames_are_read_and_recognised(vector: dict[str, Any]) -> None:
    assert decompress(bytes.fromhex(vector["libzstd_frame_hex"]), LIMIT) == (bytes.fromhex(vector["plain_hex"]), False)


@pytest.mark.parametrize("vector", ZSTD, ids=_label)
def test_stored_frames_are_those_of_the_vectors(vector: dict[str, Any]) -> None:
    assert store(bytes.fromhex(vector["plain_hex"])).hex() == vector["stored_frame_hex"]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65791, 65792, BLOCK_MAX - 1, BLOCK_MAX, BLOCK_MAX + 1, 3 * BLOCK_MAX])
def test_stored_frames_are_standard(size: int) -> None:
    data = bytes(index * 7 % 251 for index in range(size))
    assert zstandard.ZstdDecompressor().decompress(store(data)) == data
    assert decompress(store(data), LIMIT).data == data


@given(st.binary(max_size=3000))
def test_what_is_compressed_can_be_read(data: bytes) -> None:
    assert decompress(compress(data), LIMIT) == (data, False)


def test_frames_without_content_size_are_read() -> None:
    engine = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    frame = engine.compress(b"a" * 300_000) + engine.flush()
    assert decompress(frame, LIMIT).data == b"a" * 300_000


def test_standard_frames_with_checksum_and_compressed_blocks_are_not_taken_for_upstream() -> None:
    frame = zstandard.ZstdCompressor(write_checksum=True).compress(b"abcdefgh" * 100)
    assert decompress(frame, LIMIT) == (b"abcdefgh" * 100, False)


def test_the_fixed_first_frame_of_rust_clients_is_recognised() -> None:
    assert decompress(RUST_FIRST_FRAME, LIMIT).upstream


def test_bytes_after_the_frame_are_ignored() -> None:
    assert decompress(compress(b"abc") + b"more", LIMIT).data == b"abc"


def test_exactly_the_limit_is_allowed() -> None:
    assert len(decompress(compress(b"a" * 1000), 1000).data) == 1000


@pytest.mark.parametrize("form", ["oxiarc_frame_hex", "libzstd_frame_hex"])
def test_one_byte_over_the_limit_is_too_large(form: str) -> None:
    vector = next(vector for vector in ZSTD if vector["label"] == "geojson")
    assert _code(bytes.fromhex(vector[form]), len(bytes.fromhex(vector["plain_hex"])) - 1) == "too_large"


def test_a_bomb_without_content_size_is_too_large_and_cheap() -> None:
    engine = zstandard.ZstdCompressor(level=3, write_content_size=False).compressobj()
    frame = engine.compress(bytes(100 << 20)) + engine.flush()
    tracemalloc.start()
    try:
        assert _code(frame) == "too_large"
        assert tracemalloc.get_traced_memory()[1] < 4 * LIMIT
    finally:
        tracemalloc.stop()


def test_a_bomb_of_repeated_bytes_is_too_large() -> None:
    frame = MAGIC + b"\x00\x58" + _block(1, BLOCK_MAX, b"a") * 500 + _block(1, BLOCK_MAX, b"a", last=True)
    assert _code(frame) == "too_large"


def test_an_announced_size_beyond_the_limit_is_too_large() -> None:
    assert _code(MAGIC + b"\xe0" + (1 << 60).to_bytes(8, "little") + _block(0, 1, b"a", last=True)) == "too_large"


@pytest.mark.parametrize("announced", [0, 1, 9, 11, 255])
def test_a_lie_about_the_size_is_refused(announced: int) -> None:
    assert _code(MAGIC + b"\x20" + bytes((announced,)) + _block(1, 10, b"a", last=True)) == "bad_frame"


def test_a_lie_about_the_size_by_a_rust_peer_is_refused() -> None:
    frame = bytearray(bytes.fromhex(next(vector for vector in ZSTD if vector["label"] == "text 100")["oxiarc_frame_hex"]))
    frame[5] -= 1
    assert _code(bytes(frame)) == "bad_frame"


def test_a_huge_window_is_refused() -> None:
    assert _code(MAGIC + b"\x00\xa8" + _block(0, 1, b"a", last=True)) == "bad_frame"


def test_too_many_blocks_are_refused() -> None:
    assert _code(MAGIC + b"\x00\x58" + _block(0, 0, b"") * BLOCKS_MAX + _block(0, 1, b"a", last=True)) == "bad_frame"


def test_a_wrong_checksum_is_refused() -> None:
    for vector in ZSTD:
        frame = bytearray.fromhex(vector["oxiarc_frame_hex"])
        frame[-1] ^= 1
        assert _code(bytes(frame)) == "bad_frame"


@pytest.mark.parametrize("frame", [frame for frame in FRAMES if len(frame) < 600], ids=lambda frame: f"{len(frame)} bytes")
def test_every_truncation_is_refused(frame: bytes) -> None:
    for end in range(len(frame)):
        assert _code(frame[:end]) == "bad_frame"


def test_sequences_without_bits_are_refused() -> None:
    literals = (0b1101 | 32768 << 4).to_bytes(3, "little") + b"a"
    sequences = b"\xff\x00\x01" + b"\x54" + bytes([1, 2, 0]) + b"\x01"
    block = literals + sequences
    frame = MAGIC + b"\xa4" + (1 << 20).to_bytes(4, "little") + _block(2, len(block), block, last=True) + bytes(4)
    with pytest.raises(StreamError, match="more sequences than the bit stream has"):
        decompress(frame, LIMIT)


def _survives(frame: bytes) -> None:
    try:
        assert len(decompress(frame, 10_000).data) <= 10_000
    except StreamError as error:
        assert error.code in {"bad_frame", "too_large"}


@given(st.binary(max_size=300))
def test_garbage_is_only_ever_refused(tail: bytes) -> None:
    _survives(MAGIC + tail)


@given(
    st.sampled_from(FRAMES + [bytes.fromhex(vector["rmp_zstd_oxiarc_hex"]) for vector in MESSAGES]),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_damage_is_only_ever_refused(frame: bytes, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(frame)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    _survives(bytes(damaged))


@given(st.integers(0, 255), st.binary(min_size=1, max_size=120))
def test_blocks_full_of_garbage_are_only_ever_refused(size: int, content: bytes) -> None:
    _survives(MAGIC + b"\x24" + bytes((size,)) + _block(2, len(content), content, last=True) + bytes(4))
