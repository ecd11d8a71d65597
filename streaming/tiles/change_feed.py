"""What is told when a source of tiles has changed: where, and in which zooms. Not what the tiles are now; whoever shows them looks.

Each tileset has a feed `tiles:<name>`, a log of such changes. Whoever changes a source announces it there, after the change can be read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from streaming.core.bbox import Box
from streaming.core.feed import Feed, FeedOptions
from streaming.engine.conf import conf

from .grid import Tile, is_near

_MIXED = 3 / 256
"""So much of a tile beyond its edge is mixed into it."""


class ChangedTiles(Protocol):
    """Tiles that may have changed."""

    def __contains__(self, tile: Any, /) -> bool:
        """Whether this one is among them."""

    def intersection(self, tiles: Collection[Tile]) -> Collection[Tile]:
        """Those of the tiles that are."""


@dataclass(frozen=True, slots=True)
class ChangedArea:
    """Part of a tileset: these tiles; or those that show the box (degrees; None: the world) in the zooms (None: all).

    Without anything: all of it. Resampling mixes neighbours, so a tile also shows what is a few pixels beyond its edge.
    """

    box: Box | None = None
    zooms: range | None = None
    tiles: frozenset[Tile] | None = None

    def __contains__(self, tile: Tile, /) -> bool:
        if self.tiles is not None:
            return tile in self.tiles
        return (self.zooms is None or tile.z in self.zooms) and (self.box is None or is_near(self.box, *tile, margin=_MIXED))

    def intersection(self, tiles: Collection[Tile]) -> Collection[Tile]:
        """Those of the tiles that are touched."""
        if self.tiles is not None:
            return self.tiles.intersection(tiles)
        return [*tiles] if self == EVERYTHING else [tile for tile in tiles if tile in self]

    def encode(self) -> bytes:
        """As a line of the feed."""
        zooms = None if self.zooms is None else [self.zooms.start, self.zooms.stop]
        tiles = None if self.tiles is None else sorted(self.tiles)
        return msgspec.json.encode({"bbox": self.box, "zooms": zooms, "tiles": tiles})


EVERYTHING = ChangedArea()


class _Line(msgspec.Struct):
    bbox: Box | None = None
    zooms: tuple[int, int] | None = None
    tiles: list[Tile] | None = None


_read = msgspec.json.Decoder(_Line).decode


def parse_change(line: bytes) -> ChangedArea:
    """What a line of the feed says. A line of another version of this program says that everything may have changed."""
    try:
        found = _read(line)
    except msgspec.DecodeError:
        return EVERYTHING
    zooms = None if found.zooms is None else range(*found.zooms)
    return ChangedArea(found.bbox, zooms, None if found.tiles is None else frozenset(found.tiles))


def changed_tiles(tiles: Iterable[Tile]) -> ChangedArea:
    """These tiles and no others."""
    return ChangedArea(tiles=frozenset(tiles))


def tiles_feed(tileset: str) -> Feed:
    """The feed of a tileset's changes."""
    return Feed(f"tiles:{tileset}", FeedOptions(log_length=conf.TILE_CHANGES_LOG))


def announce_sync(tileset: str, touched: ChangedArea) -> None:
    """Tell every process that part of a tileset has changed. `StreamError("redis_unavailable")`."""
    tiles_feed(tileset).append_sync([touched.encode()])


async def announce(tileset: str, touched: ChangedArea) -> None:
    """The same on the event loop."""
    await tiles_feed(tileset).append([touched.encode()])
