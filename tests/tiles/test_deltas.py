"""Applying a delta gives the new version exactly; whatever else comes as a delta gives a StreamError."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from streaming.core.errors import StreamError
from streaming.tiles import deltas
from streaming.tiles.deltas import ENCODINGS, PIXEL_ENCODINGS, apply, encode, smallest
from streaming.tiles.images import decode_pixels, lossless_webp
from streaming.tiles.prefix_deltas import MAX_SIZE
from tests.processes import run

VECTORS = json.loads((Path(__file__).parents[1] / "dialects" / "geo" / "vectors.json").read_text(encoding="utf-8"))["tile_delta"]
BYTES = ("prefix+zstd", "upstream")
DTYPES = ("u1", "i1", "<u2", ">u2", "<i4", ">i4", "<u8", "<f4", ">f4", "<f8")
SHAPES = ((8, 8, 4), (16, 16), (3, 5, 7), (1, 1, 1), (0, 4), ())


@st.composite
def edits(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Bytes, and what a few replacements, insertions and deletions make of them."""
    base = draw(st.binary(max_size=600))
    new = bytearray(base)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(new)))
        new[start : start + draw(st.integers(0, 100))] = draw(st.binary(max_size=100))
    return base, bytes(new)


@st.composite
def repaints(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """An array of any bit patterns, not-a-numbers among them, and the same with some of its numbers replaced."""
    dtype, shape = np.dtype(draw(st.sampled_from(DTYPES))), draw(st.sampled_from(SHAPES))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = int(np.prod(shape)) * dtype.itemsize
    base, other = (np.frombuffer(random.bytes(size), dtype).reshape(shape) for _ in range(2))
    return base, np.where(random.random(shape) < draw(st.floats(0, 1)), other, base).astype(dtype)


@st.composite
def paintings(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """An RGBA image of any shape and transparency, and the same with a box painted over."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    base = random.integers(0, 256, (height, width, 4), np.uint8)
    new = base.copy()
    top, left = draw(st.integers(0, height)), draw(st.integers(0, width))
    part = new[top : draw(st.integers(top, height)), left : draw(st.integers(left, width))]
    part[...] = random.integers(0, 256, part.shape, np.uint8)
    return base, new


def patch(x: int, y: int, pixels: np.ndarray[Any, Any]) -> bytes:
    """As `patch+webp` has it."""
    return x.to_bytes(2, "little") + y.to_bytes(2, "little") + lossless_webp(pixels)


def rgba(size: int = 256) -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).integers(0, 256, (size, size, 4), np.uint8)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["label"])
def test_upstreams_own_deltas_are_made_and_applied(vector: dict[str, str]) -> None:
    old, new, delta = (bytes.fromhex(vector[name]) for name in ("old_hex", "new_hex", "delta_hex"))
    assert encode("upstream", old, new) == delta
    assert apply("upstream", old, delta) == new


@pytest.mark.parametrize("encoding", BYTES)
@given(versions=edits())
def test_bytes_come_back_after_any_edit(encoding: str, versions: tuple[bytes, bytes]) -> None:
    base, new = versions
    assert apply(encoding, base, encode(encoding, base, new)) == new


@pytest.mark.parametrize("encoding", BYTES)
@given(base=st.binary(max_size=300), new=st.binary(max_size=300))
def test_bytes_come_back_between_unrelated_versions(encoding: str, base: bytes, new: bytes) -> None:
    assert apply(encoding, base, encode(encoding, base, new)) == new


@given(versions=repaints())
def test_pixels_of_any_dtype_come_back_bit_by_bit(versions: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]) -> None:
    base, new = versions
    applied = apply("xor+zstd", base, encode("xor+zstd", base, new))
    assert (applied.tobytes(), applied.dtype, applied.shape) == (new.tobytes(), base.dtype, base.shape)


@given(versions=paintings())
def test_what_was_painted_over_comes_back_exactly(versions: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]) -> None:
    base, new = versions
    assert np.array_equal(apply("patch+webp", base, encode("patch+webp", base, new)), new)


def test_a_patch_holds_the_box_of_what_changed_and_no_more() -> None:
    base = rgba(64)
    new = base.copy()
    new[10, 20], new[17, 22] = base[10, 20] ^ 1, base[17, 22] ^ 255
    delta = encode("patch+webp", base, new)
    assert delta[:4] == bytes((20, 0, 10, 0))
    assert np.array_equal(decode_pixels(delta[4:]), new[10:18, 20:23])


def test_a_patch_of_transparent_pixels_replaces_them_and_does_not_blend() -> None:
    base = rgba(8)
    painted = np.zeros((2, 3, 4), np.uint8)
    applied = apply("patch+webp", base, patch(4, 5, painted))
    assert np.array_equal(applied[5:7, 4:7], painted)


@pytest.mark.parametrize("encoding", sorted(PIXEL_ENCODINGS))
def test_between_equal_pixels_there_is_a_delta_that_changes_nothing(encoding: str) -> None:
    base = rgba(32)
    delta = encode(encoding, base, base.copy())
    assert len(delta) < 60
    assert np.array_equal(apply(encoding, base, delta), base)


@pytest.mark.parametrize("x, y, side", [(7, 0, 2), (0, 7, 2), (8, 8, 1), (65535, 65535, 1), (0, 0, 9)])
def test_a_patch_beyond_the_tile_is_refused(x: int, y: int, side: int) -> None:
    with pytest.raises(StreamError, match="pixels at") as refused:
        apply("patch+webp", rgba(8), patch(x, y, rgba(side)))
    assert refused.value.code == "bad_frame"


def test_a_patch_of_a_billion_pixels_is_refused_before_it_is_decoded() -> None:
    header = b"RIFF" + (22).to_bytes(4, "little") + b"WEBPVP8X" + (10).to_bytes(4, "little") + bytes(4) + b"\xff\x3f\x00\xff\x3f\x00"
    with pytest.raises(StreamError, match="it changes 16384 x 16384 pixels"):
        apply("patch+webp", rgba(8), bytes(4) + header)


@pytest.mark.parametrize("delta", [b"", bytes(3), bytes(4), bytes(4) + b"\x89PNG\r\n\x1a\n", patch(0, 0, rgba(4))[:-9]])
def test_a_patch_must_be_a_place_and_a_whole_webp(delta: bytes) -> None:
    with pytest.raises(StreamError) as refused:
        apply("patch+webp", rgba(8), delta)
    assert refused.value.code == "bad_frame"


def test_a_patch_is_not_applied_to_a_tile_beyond_the_bound() -> None:
    with pytest.raises(StreamError) as refused:
        apply("patch+webp", rgba(8), patch(0, 0, rgba(1)), max_size=255)
    assert refused.value.code == "too_large"


@pytest.mark.parametrize(
    "base", [rgba(8)[..., :3], rgba(8).astype("u2"), rgba(8)[..., 0], rgba(8)[:0]], ids=["RGB", "16 bit", "grey", "none"]
)
def test_only_8_bit_rgba_can_be_patched(base: Any) -> None:
    with pytest.raises(ValueError, match="there is no"):
        encode("patch+webp", base, base)


def test_a_view_of_a_larger_array_is_a_base_like_any_other() -> None:
    whole = rgba(64)
    base, new = whole[::2, ::-1, :3], whole[1::2, :, :3]
    assert np.array_equal(apply("xor+zstd", base, encode("xor+zstd", base, new)), new)


def test_the_byte_order_of_a_machine_does_not_matter() -> None:
    base, new = np.arange(10, dtype="<u4"), np.arange(10, dtype="<u4") ** 2
    assert encode("xor+zstd", base.astype(">u4"), new) == encode("xor+zstd", base, new)


def test_the_base_is_left_as_it_was() -> None:
    base = rgba(8)
    before = base.copy()
    apply("xor+zstd", base, encode("xor+zstd", base, base ^ 1))
    assert np.array_equal(base, before)


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(delta=st.binary(max_size=200))
def test_garbage_is_refused_or_makes_a_tile_within_the_bound(encoding: str, delta: bytes) -> None:
    base: Any = rgba(4) if encoding in PIXEL_ENCODINGS else b"some tile"
    try:
        new = apply(encoding, base, delta, max_size=1000)
    except StreamError as error:
        assert error.code in ("bad_frame", "too_large")
    else:
        assert len(bytes(new)) <= 1000


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(data=st.data())
def test_a_damaged_delta_is_refused_or_makes_a_tile_within_the_bound(encoding: str, data: st.DataObject) -> None:
    base: Any = rgba(8) if encoding in PIXEL_ENCODINGS else bytes(range(256))
    new: Any = base ^ (rgba(8) < 9) if encoding in PIXEL_ENCODINGS else base[:100] + b"changed" + base[120:]
    delta = bytearray(encode(encoding, base, new))
    delta[data.draw(st.integers(0, len(delta) - 1))] ^= data.draw(st.integers(1, 255))
    del delta[data.draw(st.integers(1, len(delta))) :]
    try:
        applied = apply(encoding, base, bytes(delta), max_size=1000)
    except StreamError as error:
        assert error.code in ("bad_frame", "too_large")
    else:
        assert len(bytes(applied)) <= 1000


@pytest.mark.parametrize("encoding", ["xor+zstd", "prefix+zstd"])
def test_a_bomb_is_refused_by_what_it_says_of_itself(encoding: str) -> None:
    base: Any = rgba(4) if encoding in PIXEL_ENCODINGS else b"tile"
    with pytest.raises(StreamError, match="67108864 bytes; at most") as refused:
        apply(encoding, base, zstandard.compress(bytes(64 << 20)))
    assert refused.value.code == "too_large"


@pytest.mark.parametrize("encoding", ["xor+zstd", "prefix+zstd"])
def test_a_frame_that_does_not_say_its_size_is_refused(encoding: str) -> None:
    base: Any = rgba(4) if encoding in PIXEL_ENCODINGS else b"tile"
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(64))
    with pytest.raises(StreamError, match="does not say how much it holds"):
        apply(encoding, base, frame)


@pytest.mark.parametrize("encoding", ["xor+zstd", "prefix+zstd"])
def test_bytes_after_the_frame_are_refused(encoding: str) -> None:
    base: Any = rgba(4) if encoding in PIXEL_ENCODINGS else b"tile"
    with pytest.raises(StreamError, match="cannot be applied"):
        apply(encoding, base, encode(encoding, base, base) + b"more")


def test_four_bytes_cannot_make_a_tile_of_four_gigabytes() -> None:
    with pytest.raises(StreamError) as refused:
        apply("upstream", b"tile", b"\xff\xff\xff\xff")
    assert refused.value.code == "too_large"


@pytest.mark.parametrize("delta", ["", "0400", "04000000 00", "04000000 00000000 01 0000", "04000000 04000000 01"])
def test_an_upstream_delta_must_be_whole_and_within_the_tile(delta: str) -> None:
    with pytest.raises(StreamError) as refused:
        apply("upstream", b"tile", bytes.fromhex(delta))
    assert refused.value.code == "bad_frame"


def test_the_largest_tile_is_still_made() -> None:
    new = bytes(MAX_SIZE)
    for encoding in BYTES:
        assert apply(encoding, b"tile", MAX_SIZE.to_bytes(4, "little") if encoding == "upstream" else encode(encoding, b"tile", new))


def test_pixels_of_another_shape_are_no_base() -> None:
    with pytest.raises(StreamError, match="it holds 1024 bytes, the tile 256"):
        apply("xor+zstd", rgba(8), encode("xor+zstd", rgba(16), rgba(16)))


def test_a_prefix_delta_notices_another_base() -> None:
    base = os.urandom(500)
    delta = encode("prefix+zstd", base, base + b"more")
    with pytest.raises(StreamError, match="cannot be applied"):
        apply("prefix+zstd", os.urandom(500), delta)


def test_a_base_that_looks_like_a_trained_dictionary_is_only_bytes() -> None:
    base = b"\x37\xa4\x30\xec" + bytes(range(200))
    assert apply("prefix+zstd", base, encode("prefix+zstd", base, base * 2)) == base * 2


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_peer_cannot_apply_a_delta_to_a_tile_of_the_other_kind(encoding: str) -> None:
    base: Any = b"tile" if encoding in PIXEL_ENCODINGS else rgba(4)
    with pytest.raises(StreamError, match="does not apply"):
        apply(encoding, base, b"")


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(StreamError, match=r"unknown delta encoding 'rot13'; there are xor\+zstd, "):
        apply("rot13", b"", b"")


@pytest.mark.parametrize("other", [rgba(16), rgba(8).astype("u2"), rgba(8).tobytes()], ids=["shape", "dtype", "bytes"])
def test_pixels_that_cannot_be_compared_have_no_delta(other: Any) -> None:
    with pytest.raises(ValueError, match="there is no"):
        encode("xor+zstd", rgba(8), other)


def test_objects_are_never_reinterpreted() -> None:
    objects = np.array([None, "text"])
    with pytest.raises(ValueError, match="there is no"):
        encode("xor+zstd", objects, objects)


def test_the_smallest_of_what_is_offered_is_chosen() -> None:
    base = os.urandom(5000)
    new = base[:100] + b"a few bytes more" + base[100:]
    encoding, delta = smallest(["upstream", "prefix+zstd"], base, new, full=new)
    assert encoding == "prefix+zstd"
    assert len(delta) < 100


def test_a_single_changed_byte_is_shortest_in_upstreams_form() -> None:
    base = bytes(50)
    assert smallest(ENCODINGS, base, b"x" + base[1:], full=base) == ("upstream", bytes.fromhex("32000000 00000000 78"))


def test_pixels_are_offered_as_pixels() -> None:
    base = rgba()
    new = base.copy()
    new[:20, :20] = 0
    encoding, delta = smallest(ENCODINGS, base, new, full=os.urandom(60_000))
    assert encoding in PIXEL_ENCODINGS
    assert np.array_equal(apply(encoding, base, delta), new)


def test_a_painted_region_is_smallest_as_a_patch() -> None:
    base = np.full((256, 256, 4), 255, np.uint8)
    new = base.copy()
    shades = np.add.outer(np.arange(60), np.arange(60)) + np.random.default_rng(1).integers(0, 8, (60, 60))
    new[100:160, 100:160, :3] = shades[..., None]
    encoding, delta = smallest(ENCODINGS, base, new, full=os.urandom(60_000))
    assert encoding == "patch+webp"
    assert np.array_equal(apply(encoding, base, delta), new)


def test_no_image_is_written_for_a_few_pixels_far_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(pixels: Any) -> bytes:
        raise AssertionError("it cannot win, and takes milliseconds")

    base = rgba()
    new = base.copy()
    new[[0, 100, 255], [0, 200, 255]] ^= 1
    monkeypatch.setattr(deltas.images, "lossless_webp", never)
    assert smallest(ENCODINGS, base, new, full=os.urandom(60_000))[0] == "xor+zstd"


@pytest.mark.parametrize(
    "offered, base",
    [([], bytes(100)), (["rot13"], bytes(100)), (["xor+zstd"], bytes(100)), (["prefix+zstd"], os.urandom(100)), (["xor+zstd"], rgba(8))],
    ids=["nothing offered", "unknown", "not for bytes", "larger", "another shape"],
)
def test_the_full_tile_is_sent_when_no_delta_is_smaller(offered: list[str], base: Any) -> None:
    new: Any = os.urandom(100) if isinstance(base, bytes) else rgba(4)
    assert smallest(offered, base, new, full=b"full tile") == (None, b"full tile")


def test_threads_do_not_share_a_compressor() -> None:
    tiles = [rgba() ^ number for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        deltas = list(pool.map(lambda tile: encode("xor+zstd", tiles[0], tile), tiles * 8))
        applied = list(pool.map(lambda delta: apply("xor+zstd", tiles[0], delta), deltas))
    assert all(np.array_equal(new, tile) for new, tile in zip(applied, tiles * 8, strict=True))


def test_clients_can_use_it_without_django() -> None:
    code = "import sys; sys.modules['django'] = None; import streaming.tiles.deltas"
    run(sys.executable, "-c", code)
