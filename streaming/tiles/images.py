"""Decoding and encoding of the images of tiles, for pixel deltas and for the Python client.

The images are not trusted. Their size is read from their first bytes before anything is decoded, because some decoders
allocate the whole canvas when they only open a file. Whatever an image holds, the result is pixels of bounded size or a
`StreamError`. Server and clients use this module: it needs no Django, and Pillow only to decode or encode.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import StreamError
from .optional import optional_libraries

if TYPE_CHECKING:
    from PIL import Image

Pixels = NDArray[np.uint8]
"""Red, green, blue, alpha: (height, width, 4), rows from the top."""
MAX_SIDE = 1024
FORMATS = {"png": "PNG", "webp": "WEBP", "jpg": "JPEG"}
"""Pillow's names of the formats."""
THOROUGH_PIXELS = 16_384
"""Up to this size, WebP is given 2-4 ms to become a tenth to a third smaller. For larger images that would take longer
than rendering."""
_PNG = b"\x89PNG\r\n\x1a\n"
_INTERPRETED = {b"iCCP", b"gAMA", b"cHRM", b"cICP", b"eXIf", b"acTL"}
"""Chunks of a PNG for which a browser shows other colours than the stored ones, rotates the image, or animates it."""
_AVIF_BRANDS = {b"avif", b"avis"}
_AVIF_HEADER_BYTES = 4096
_NO_FRAME_HEADER = {0xC4, 0xC8, 0xCC}


def sniff(data: bytes) -> str | None:
    """The format of an image by its first bytes: one of `FORMATS`, avif, or None."""
    if data.startswith(_PNG):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp" and _AVIF_BRANDS.intersection(data[at : at + 4] for at in range(8, min(int.from_bytes(data[:4]), 64), 4)):
        return "avif"
    return "jpg" if data.startswith(b"\xff\xd8\xff") else None


def image_size(data: bytes) -> tuple[int, int]:
    """Width and height that the image declares; nothing is decoded. `StreamError("bad_frame")`."""
    try:
        width, height = _SIZES[sniff(data)](data)
    except KeyError:
        raise _unreadable("it is neither PNG nor WebP nor JPEG nor AVIF") from None
    except (struct.error, IndexError):
        raise _unreadable("its beginning is damaged") from None
    if not width or not height:
        raise _unreadable("it has no pixels")
    return width, height


def decode_pixels(data: bytes, max_side: int = MAX_SIDE, avif: bool = False) -> Pixels:
    """Decode a PNG, WebP or JPEG; of an animation the first picture. AVIF is only decoded where it was checked (`avif_check`).

    `StreamError`: too_large if it is wider or higher than `max_side`, bad_frame if it cannot be decoded or is cut off;
    `MissingLibrary`.
    """
    width, height = image_size(data)
    format = sniff(data)
    if format not in FORMATS and not avif:
        raise _unreadable("it is AVIF")
    if max(width, height) > max_side:
        raise StreamError("too_large", f"the image has {width} x {height} pixels; at most {max_side} x {max_side} are taken")
    with optional_libraries("images"):
        from PIL import Image

    try:
        with Image.open(BytesIO(data), formats=[FORMATS.get(format or "", "AVIF")]) as image:
            if image.size != (width, height):
                raise _unreadable("it says two different sizes")
            return np.array(_rgba(image), np.uint8)
    # Pillow's readers also raise errors that are not their own, and warnings where these are errors.
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        LookupError,
        struct.error,
        OverflowError,
        TypeError,
        RuntimeError,
        Warning,
    ) as error:
        raise _unreadable(str(error)) from None


def lossless_webp(pixels: Pixels) -> bytes:
    """Encode every pixel exactly as it is, also the colours of transparent ones. `MissingLibrary`."""
    with optional_libraries("images"):
        from PIL import Image

    thorough = pixels.shape[0] * pixels.shape[1] <= THOROUGH_PIXELS
    file = BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.save(file, "WEBP", lossless=True, exact=True, method=int(thorough), quality=40 if thorough else 0)
    return file.getvalue()


def survives_canvas(pixels: Pixels) -> bool:
    """Whether a browser's canvas on which these pixels are drawn returns exactly the same ones.

    Each must be opaque, or transparent black: a canvas stores colours multiplied by alpha, and rounds them.
    """
    alpha = pixels[..., 3]
    if (alpha == 255).all():
        return True
    words = np.ascontiguousarray(pixels).view("<u4")[..., 0]
    return bool(((alpha == 255) | (words == 0)).all())


def is_plain_png(data: bytes) -> bool:
    """Whether this is a PNG that all decoders decode to the same pixels.

    It has up to 8 bits, and no colour profile, rotation or animation.
    """
    if not data.startswith(_PNG) or len(data) < 33 or data[24] > 8:
        return False
    at = len(_PNG)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            return True
        if kind in _INTERPRETED:
            return False
        at += 12 + length
    return False


def _rgba(image: Image.Image) -> Any:
    if image.mode.startswith("I"):  # a PNG of 16 bits; other decoders take the upper 8
        from PIL import Image

        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGBA")


def _png_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">4xII", data, 12)
    return width, height


def _webp_size(data: bytes) -> tuple[int, int]:
    """The size of the canvas (VP8X), of a lossless (VP8L) or of a lossy picture: RFC 9649."""
    match data[12:16]:
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", data, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
    raise IndexError


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """The size in the frame header (SOF), which comes after any number of segments that declare their length."""
    at = 2
    while True:
        while data[at] == data[at + 1] == 0xFF:
            at += 1
        marker, length = struct.unpack_from(">xBH", data, at)
        if data[at] != 0xFF or length < 2:
            raise IndexError
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME_HEADER:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + length


def _avif_size(data: bytes) -> tuple[int, int]:
    """The largest of the sizes that the file's pictures have: the others are previews and alpha."""
    sizes, at = [], data.find(b"ispe", 0, _AVIF_HEADER_BYTES)
    while at >= 0:
        sizes.append(struct.unpack_from(">II", data, at + 8))
        at = data.find(b"ispe", at + 4, _AVIF_HEADER_BYTES)
    width, height = max(sizes, default=(0, 0))
    return width, height


_SIZES: dict[str | None, Any] = {"png": _png_size, "webp": _webp_size, "jpg": _jpeg_size, "avif": _avif_size}


def _unreadable(reason: str) -> StreamError:
    return StreamError("bad_frame", f"the image cannot be decoded: {reason}")
