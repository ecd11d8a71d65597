"""Images become the pixels that everybody sees, or a refusal; never more memory than a tile is worth."""

from __future__ import annotations

import io
import struct
import sys
import tracemalloc
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from streaming.core.errors import StreamError
from streaming.tiles.images import FORMATS, decode_pixels, image_size, is_plain_png, lossless_webp, sniff, survives_canvas
from tests.processes import run

SLOPES = np.dstack([np.add.outer(np.arange(20) * k, np.arange(30)).astype(np.uint8) for k in (1, 2, 3)])
GREY = SLOPES[..., 0]


def saved(form: str, mode: str = "RGB", **options: Any) -> bytes:
    """The slopes as an image of 30 x 20 pixels."""
    return written(Image.fromarray(SLOPES).convert(mode), form, **options)


def written(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png(*chunks: tuple[bytes, bytes], depth: int = 8, width: int = 1, height: int = 1) -> bytes:
    """A PNG of grey pixels, with these chunks before its data."""
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    data = zlib.compress(bytes((1 + width * depth // 8) * min(height, 10)))
    whole = [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I4s", len(body), kind) + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in whole
    )


SAMPLES = {
    "png": saved("PNG"),
    "jpg": saved("JPEG"),
    "progressive jpg": saved("JPEG", progressive=True, comment=b"x" * 3000),
    "grey jpg": saved("JPEG", "L"),
    "lossy webp": saved("WEBP"),
    "lossless webp": saved("WEBP", lossless=True),
    "webp with alpha": saved("WEBP", "RGBA", exif=b"Exif\x00\x00"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_format_and_size_are_read_without_decoding(name: str) -> None:
    data = SAMPLES[name]
    assert sniff(data) == name.split()[-1 if name != "webp with alpha" else 0]
    assert image_size(data[:-20]) == (30, 20)


def test_a_format_that_pillow_writes_is_found_by_its_bytes() -> None:
    assert {sniff(saved(form)): form for form in FORMATS.values()} == FORMATS


@pytest.mark.parametrize("data", [b"", b"\x1a\x06flights", b"RIFF1234WAVE", b"GIF89a", b"<svg/>"])
def test_other_bytes_are_no_image(data: bytes) -> None:
    assert sniff(data) is None
    with pytest.raises(StreamError, match="neither PNG nor WebP nor JPEG"):
        image_size(data)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_format_is_decoded_to_rgba(name: str) -> None:
    decoded = decode_pixels(SAMPLES[name])
    assert (decoded.shape, decoded.dtype, decoded.flags.c_contiguous) == ((20, 30, 4), np.uint8, True)
    assert np.abs(decoded[..., 0].astype(int) - GREY).max() < 40
    assert (decoded[..., 3] == 255).all()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_png_is_decoded_exactly(mode: str) -> None:
    image = Image.fromarray(SLOPES).convert(mode)
    assert np.array_equal(decode_pixels(written(image, "PNG")), np.asarray(image.convert("RGBA")))


def test_a_palette_may_be_transparent() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert decode_pixels(written(image, "PNG", transparency=0)).tolist() == [[[10, 20, 30, 0], [40, 50, 60, 255]]]


def test_of_16_bits_the_upper_8_are_shown() -> None:
    image = Image.fromarray(np.array([[0x1234, 0xFFFF]], np.uint16))
    assert decode_pixels(written(image, "PNG")).tolist() == [[[0x12, 0x12, 0x12, 255], [255, 255, 255, 255]]]


def test_of_an_animation_the_first_picture_is_shown() -> None:
    first, second = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    decoded = decode_pixels(written(first, "WEBP", save_all=True, append_images=[second], lossless=True))
    assert (decoded == (255, 0, 0, 255)).all()


@pytest.mark.parametrize("name", SAMPLES)
def test_an_image_that_is_cut_off_is_refused(name: str) -> None:
    data = SAMPLES[name]
    for length in range(0, len(data) - 24, 7):
        with pytest.raises(StreamError, match="the image cannot be decoded") as refused:
            decode_pixels(data[:length])
        assert refused.value.code == "bad_frame"


@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
def test_a_damaged_image_is_refused_or_has_pixels_within_the_bound(name: str, data: st.DataObject) -> None:
    damaged = bytearray(SAMPLES[name])
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode_pixels(bytes(damaged), max_side=64)
    except StreamError as error:
        assert error.code in ("bad_frame", "too_large")
    else:
        assert max(decoded.shape) <= 64 and decoded.shape[2] == 4


def test_a_damaged_image_is_refused_also_where_warnings_are_only_written_down() -> None:
    broken = saved("PNG").replace(b"IDAT", b"acTL", 1)
    with warnings.catch_warnings(), pytest.raises(StreamError):
        warnings.simplefilter("ignore")
        decode_pixels(broken)


BOMBS = {
    "png": png(width=60_000, height=60_000),
    "jpg": SAMPLES["jpg"].replace(struct.pack(">HH", 20, 30), struct.pack(">HH", 60_000, 60_000), 1),
    "lossless webp": b"RIFF\x40\0\0\0WEBPVP8L\x30\0\0\0\x2f" + struct.pack("<I", 16_383 | 16_383 << 14) + bytes(60),
    "extended webp": b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\xff\x3f\0\xff\x3f\0" + bytes(60),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_by_what_it_says_of_itself(name: str) -> None:
    tracemalloc.start()
    with pytest.raises(StreamError, match="at most 1024 x 1024") as refused:
        decode_pixels(BOMBS[name])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.code == "too_large"
    assert peak < 5_000_000


def test_the_largest_side_is_still_taken() -> None:
    data = written(Image.new("L", (64, 3)), "PNG")
    assert decode_pixels(data, max_side=64).shape == (3, 64, 4)
    with pytest.raises(StreamError, match="64 x 3 pixels; at most 63 x 63"):
        decode_pixels(data, max_side=63)


@pytest.mark.parametrize("width, height", [(0, 1), (1, 0)])
def test_an_image_without_pixels_is_refused(width: int, height: int) -> None:
    with pytest.raises(StreamError, match="no pixels"):
        image_size(png(width=width, height=height))


@pytest.mark.parametrize("side", [1, 100, 200])
def test_lossless_webp_keeps_every_pixel_and_the_colours_of_transparent_ones(side: int) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (side, side + 3, 4), np.uint8)
    noise[::2, :, 3] = 0
    data = lossless_webp(noise)
    assert image_size(data) == (side + 3, side)
    assert np.array_equal(decode_pixels(data), noise)


def test_part_of_an_array_can_be_written() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (20, 20, 4), np.uint8)
    assert np.array_equal(decode_pixels(lossless_webp(noise[3:9, ::-2])), noise[3:9, ::-2])


@pytest.mark.parametrize(
    "pixel, keeps",
    [((1, 2, 3, 255), True), ((0, 0, 0, 0), True), ((0, 0, 1, 0), False), ((0, 0, 0, 254), False), ((200, 100, 50, 128), False)],
)
def test_canvases_keep_what_is_opaque_or_transparent_black(pixel: tuple[int, ...], keeps: bool) -> None:
    image = np.full((5, 5, 4), 255, np.uint8)
    image[2] = (0, 0, 0, 0)
    image[3, 3] = pixel
    assert survives_canvas(image) is keeps


def test_a_plain_png_is_the_same_everywhere() -> None:
    assert is_plain_png(png())
    assert is_plain_png(png((b"sRGB", b"\0"), (b"pHYs", bytes(9)), (b"tEXt", b"a\0b")))
    assert is_plain_png(SAMPLES["png"])


@pytest.mark.parametrize("chunk", [b"gAMA", b"cHRM", b"iCCP", b"cICP", b"eXIf", b"acTL"])
def test_a_png_with_colours_of_its_own_is_not_plain(chunk: bytes) -> None:
    assert not is_plain_png(png((b"pHYs", bytes(9)), (chunk, bytes(8))))


@pytest.mark.parametrize("data", [png(depth=16), SAMPLES["jpg"], png()[:20], png()[:-20], b""])
def test_a_png_of_16_bits_and_what_is_no_whole_png_is_not_plain(data: bytes) -> None:
    assert not is_plain_png(data)


def test_clients_can_use_it_without_django_and_sizes_without_pillow() -> None:
    blocked = "import sys; sys.modules['django'] = sys.modules['PIL'] = None"
    code = f"{blocked}; from streaming.tiles.images import image_size; image_size({png()!r})"
    run(sys.executable, "-c", code)
