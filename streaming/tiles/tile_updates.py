"""Tile updates: the bytes that bring a client from one version of a tile to another, either the whole tile or a delta.

An update is made once for all clients that hold the same version and can apply the same deltas. Making one takes
milliseconds, so that is done in the threads that render; all of this is safe there. What is kept for deltas (old
versions, decoded pixels) is bounded in bytes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from streaming.core.errors import StreamError
from streaming.core.lru import LRU

from . import deltas, images
from .grid import Tile
from .tile_cache import ENTRY_BYTES, RenderedTile

DECODED_BYTES = 32 << 20
"""Pixels that are kept, so that a series of updates decodes each version once: of 128 tiles of 256 x 256 pixels."""


@dataclass(frozen=True, slots=True)
class TileUpdate:
    """One update.

    `encoding` is that of the delta, None for a whole tile; `base_version` is the version that the delta starts from.

    `version` is the etag of the tile, "" of an empty one. `frames` is a cache for encoders: their frames by encoder.
    """

    data: bytes
    encoding: str | None
    version: str
    base_version: str | None
    mime: str
    frames: dict[Any, list[Any]] = field(default_factory=dict, compare=False, repr=False)


def whole_tile(rendered: RenderedTile | None, mime: str = "") -> TileUpdate:
    """The whole tile; `mime` is for an empty one."""
    if rendered is None:
        return TileUpdate(b"", None, "", None, mime)
    return TileUpdate(rendered.data, None, rendered.etag, None, rendered.mime)


def smallest_update(old: RenderedTile, new: RenderedTile, offered: frozenset[str]) -> TileUpdate:
    """The smallest of the whole tile and the deltas that the client offers to apply. Blocks for some milliseconds.

    A client that applies pixel deltas to PNGs keeps their pixels, not their bytes, so byte deltas are nothing for it.
    """
    if old.mime != new.mime:
        return whole_tile(new)
    if new.mime == "image/png" and offered & deltas.PIXEL_ENCODINGS:
        base, pixels = _decoded.pixels(old), _decoded.pixels(new)
        if base is None or pixels is None:
            return whole_tile(new)
        encoding, data = deltas.smallest(offered, base, pixels, new.data)
    else:
        encoding, data = deltas.smallest(offered, old.data, new.data, new.data)
    return whole_tile(new) if encoding is None else TileUpdate(data, encoding, new.etag, old.etag, new.mime)


class TileHistory:
    """LRU of versions of tiles that clients may hold, bounded by bytes."""

    def __init__(self, limit: int) -> None:
        self._versions: LRU[tuple[str, Tile, str], RenderedTile] = LRU(limit)

    def __len__(self) -> int:
        return len(self._versions)

    @property
    def kept_bytes(self) -> int:
        """The bytes of all versions, never more than the limit."""
        return self._versions.cost

    def add(self, tileset: str, tile: Tile, rendered: RenderedTile) -> None:
        """Keep a version."""
        self._versions.put((tileset, tile, rendered.etag), rendered, ENTRY_BYTES + len(rendered.data))

    def find(self, tileset: str, tile: Tile, etag: str) -> RenderedTile | None:
        """A version, if it is still kept."""
        return self._versions.get((tileset, tile, etag))


class _DecodedPixels:
    """LRU of the pixels of PNGs, by the etag of the tile, bounded by bytes."""

    def __init__(self, limit: int) -> None:
        self._kept: LRU[str, images.Pixels | None] = LRU(limit)

    def pixels(self, rendered: RenderedTile) -> images.Pixels | None:
        """The pixels that every client holds that was sent this PNG; None if clients may hold different ones."""
        with suppress(KeyError):
            return self._kept[rendered.etag]
        pixels = _exact_pixels(rendered.data)
        self._kept.put(rendered.etag, pixels, ENTRY_BYTES + (0 if pixels is None else pixels.nbytes))
        return pixels


def _exact_pixels(data: bytes) -> images.Pixels | None:
    if not images.is_plain_png(data):
        return None
    try:
        pixels = images.decode_pixels(data)
    except StreamError:  # a finished tile that is damaged or huge, or Pillow is not installed: clients get the whole tile
        return None
    return pixels if images.survives_canvas(pixels) else None


_decoded = _DecodedPixels(DECODED_BYTES)
