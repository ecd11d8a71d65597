"""What brings a tile from one version to another: the whole tile, or the smallest delta that the client can apply to what it holds.

A body is made once for all who hold the same version and can apply the same. Everything here may take milliseconds and is called in the
threads that render; all of it is safe there. What is kept for deltas (old versions, decoded pixels) is bounded in bytes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from streaming.core.errors import StreamError

from . import deltas, images
from .grid import Tile
from .tile_cache import ENTRY_BYTES, RenderedTile

DECODED_BYTES = 32 << 20
"""Pixels kept so that a series of updates decodes each version once: of 128 tiles of 256 x 256 pixels."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class TileUpdate:
    """Bytes for a client. `encoding` None: the whole tile; `version` is its etag, "" of an empty one; `base_version` is that of a delta.

    `frames` is room for what encoders make of it, by encoder.
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
    """The smallest of the whole tile and the deltas offered. Blocks for some milliseconds.

    Of a PNG, whoever can apply pixel deltas keeps pixels, and has no bytes to apply another delta to.
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


class _Bounded(Generic[K, V]):
    """What was used last, as far as it fits. Safe from several threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def kept_bytes(self) -> int:
        """What it costs, never more than the limit."""
        return self._bytes

    def put(self, key: K, value: V, size: int) -> None:
        """Keep it, if there is room for it at all; a key is kept once."""
        cost = ENTRY_BYTES + size
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            elif cost <= self._limit:
                self._kept[key] = value, cost
                self._bytes += cost
                while self._bytes > self._limit:
                    self._bytes -= self._kept.popitem(last=False)[1][1]

    def get(self, key: K) -> tuple[V] | None:
        """What is kept, as a tuple of one."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[:1]


class TileHistory:
    """Versions of tiles that clients may hold, those used last, in at most so many bytes."""

    def __init__(self, limit: int) -> None:
        self._kept: _Bounded[tuple[str, Tile, str], RenderedTile] = _Bounded(limit)

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def kept_bytes(self) -> int:
        """What they cost, never more than the limit."""
        return self._kept.kept_bytes

    def keep(self, tileset: str, tile: Tile, rendered: RenderedTile) -> None:
        """Remember a version."""
        self._kept.put((tileset, tile, rendered.etag), rendered, len(rendered.data))

    def find(self, tileset: str, tile: Tile, etag: str) -> RenderedTile | None:
        """The version, if it is still there."""
        found = self._kept.get((tileset, tile, etag))
        return found[0] if found else None


class _DecodedPixels:
    """Pixels of PNGs by their hash."""

    def __init__(self, limit: int) -> None:
        self._kept: _Bounded[str, images.Pixels | None] = _Bounded(limit)

    def pixels(self, rendered: RenderedTile) -> images.Pixels | None:
        """The pixels that every client holds who was sent this PNG; None if clients may hold others."""
        found = self._kept.get(rendered.etag)
        if found is None:
            found = (_exact_pixels(rendered.data),)
            self._kept.put(rendered.etag, found[0], 0 if found[0] is None else found[0].nbytes)
        return found[0]


def _exact_pixels(data: bytes) -> images.Pixels | None:
    if not images.is_plain_png(data):
        return None
    try:
        pixels = images.decode_pixels(data)
    except StreamError:  # a tile of somebody else's making that is damaged, or huge: clients get it as it is
        return None
    return pixels if images.survives_canvas(pixels) else None


_decoded = _DecodedPixels(DECODED_BYTES)
