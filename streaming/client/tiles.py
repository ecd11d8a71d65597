"""Tiles as a program gets them: the bytes of a file, and the pixels of an image.

A tile is never a guess. A delta that does not start from exactly what is held, or that cannot be applied, makes no tile. Decoding is put
off until somebody looks; the libraries for it are only loaded then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.errors import StreamError
from ..dialects.geo.messages import TileData
from ..tiles.prefix_deltas import apply_prefix
from .errors import PixelsUnavailable, ProtocolError

if TYPE_CHECKING:
    from ..tiles.deltas import Pixels

PIXEL_LIBRARIES = ("numpy", "PIL")
DELTAS = ("xor+zstd", "patch+webp", "prefix+zstd")
"""The delta encodings that are worth asking for."""
_OF_PIXELS = {"xor+zstd", "patch+webp"}
_WITHOUT_LIBRARIES = ("prefix+zstd",)
_FAST = 1


@cache
def has_pixels() -> bool:
    """Whether the libraries are installed that images are decoded with."""
    return all(find_spec(name) for name in PIXEL_LIBRARIES)


def applicable_deltas() -> tuple[str, ...]:
    """The delta encodings that can be applied here."""
    return (*DELTAS, "upstream") if has_pixels() else _WITHOUT_LIBRARIES


class Coords(NamedTuple):
    """A place of the grid of Web Mercator tiles; row 0 is in the north."""

    x: int
    y: int
    zoom: int


TileKey = tuple[int, int, int] | tuple[str, int, int, int]
"""(x, y, zoom); in a subscription to several tilesets, (tileset, x, y, zoom)."""


@dataclass(frozen=True)
class Tile:
    """One version of one tile. Two are equal if they are the same version of the same tile.

    `content` is what is held: the file's bytes or, once a delta of pixels was applied, the pixels. `encoding` is the delta encoding in
    which this version came (None: whole), `received` the bytes it took, before base64 and the compression of messages.
    """

    tileset: str | None
    coords: Coords
    mime_type: str
    version: str | None
    content: bytes | Pixels = field(repr=False, compare=False)
    encoding: str | None = field(default=None, compare=False)
    received: int = field(default=0, compare=False)

    @property
    def empty(self) -> bool:
        """Whether there is nothing at this place (any more)."""
        return isinstance(self.content, bytes) and not self.content

    @cached_property
    def data(self) -> bytes:
        """The tile as a file of its `mime_type`. Where only pixels are held, a PNG is made of them: the server's pixels, in other bytes."""
        return self.content if isinstance(self.content, bytes) else _png(self.content)

    @property
    def size(self) -> int:
        """The bytes of `data`."""
        return len(self.data)

    @cached_property
    def array(self) -> Pixels | None:
        """The pixels: 8-bit RGBA, (height, width, 4), rows from the top, read-only; None if the tile is empty or no image.

        Raises ProtocolError if the image is damaged, PixelsUnavailable without numpy and Pillow.
        """
        try:
            return self._pixels()
        except StreamError as error:
            raise ProtocolError(f"the image of tile {tuple(self.coords)} cannot be decoded: {error.message}") from error

    def _pixels(self) -> Pixels | None:
        if not isinstance(self.content, bytes):
            return self.content
        if self.empty or not self.mime_type.startswith("image/"):
            return None
        if not has_pixels():
            raise PixelsUnavailable
        from ..tiles.images import decode_pixels

        return _frozen(decode_pixels(self.content))


def read(message: TileData, held: Tile | None) -> Tile:
    """The tile that a message makes of the one that is held.

    Raises ProtocolError if the message holds no bytes, and StreamError if it is a delta that does not apply to what is held.
    """
    try:
        received = message.content
    except ValueError as error:
        raise ProtocolError(f"the server sent a tile whose data cannot be read: {error}") from error
    encoding = _text(message.encoding)
    content = received if encoding is None else _applied(encoding, received, _text(message.base_version), held)
    coords, tileset, version = Coords(*message.tile), _text(message.tileset), _text(message.version)
    return Tile(tileset, coords, message.mime_type, version, content, encoding, len(received))


def _applied(encoding: str, delta: bytes, base_version: str | None, held: Tile | None) -> bytes | Pixels:
    if held is None or held.version is None or held.version != base_version:
        raise StreamError("bad_frame", f"the delta starts from version {base_version}, held is {held.version if held else 'nothing'}")
    if encoding in _WITHOUT_LIBRARIES and isinstance(held.content, bytes):
        return apply_prefix(held.content, delta)
    if encoding not in applicable_deltas():
        raise StreamError("bad_frame", f"{encoding} cannot be applied here")
    from ..tiles import deltas

    base: Any = held._pixels() if encoding in _OF_PIXELS else held.content
    made: bytes | Pixels = deltas.apply(encoding, base, delta)
    return made if isinstance(made, bytes) else _frozen(made)


def _frozen(pixels: Pixels) -> Pixels:
    pixels.flags.writeable = False
    return pixels


def _png(pixels: Pixels) -> bytes:
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=_FAST)
    return file.getvalue()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
