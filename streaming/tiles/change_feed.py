"""The change feed of a tileset: which of its tiles may have changed.

Each tileset has a feed `tiles:<name>`, a log of `ChangedArea`. A program that changes a source appends to it once the
change can be read. The feed does not carry tiles: to show them, the source is read again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from streaming.core.bbox import Box
from streaming.core.feed import Feed, FeedOptions
from streaming.engine.conf import conf

from .grid import Tile, TileRange, is_near, near_ranges

_RESAMPLING_MARGIN = 3 / 256
"""Resampling mixes neighbours, so a tile also shows this part of a tile beyond its edge."""


class ChangedTiles(Protocol):
    """A set of tiles that may have changed."""

    def __contains__(self, tile: Any, /) -> bool:
        """Whether this tile may have changed."""

    def intersection(self, tiles: Collection[Tile]) -> Collection[Tile]:
        """Those of the tiles that may have changed."""

    def within(self, view: TileRange) -> Iterable[TileRange]:
        """The parts of a rectangle of tiles that may have changed. They may overlap."""


@dataclass(frozen=True, slots=True)
class ChangedArea:
    """A part of a tileset that may have changed: either these tiles, or all that show the box in these zooms.

    `box` is in degrees; None is the whole world. `zooms` None are all zooms. Without arguments it is the whole tileset.
    """

    box: Box | None = None
    zooms: range | None = None
    tiles: frozenset[Tile] | None = None

    def __contains__(self, tile: Tile, /) -> bool:
        if self.tiles is not None:
            return tile in self.tiles
        return (self.zooms is None or tile.z in self.zooms) and (self.box is None or is_near(self.box, *tile, margin=_RESAMPLING_MARGIN))

    def intersection(self, tiles: Collection[Tile]) -> Collection[Tile]:
        """Those of the tiles that may have changed."""
        if self.tiles is not None:
            return self.tiles.intersection(tiles)
        return [*tiles] if self == EVERYTHING else [tile for tile in tiles if tile in self]

    def within(self, view: TileRange) -> Iterator[TileRange]:
        """The parts of a rectangle of tiles that may have changed."""
        if self.tiles is not None:
            found = (tile for tile in self.tiles if tile.z == view.z and view.contains(tile.x, tile.y))
            yield from (TileRange(view.z, tile.x, tile.y, tile.x, tile.y) for tile in found)
        elif self.zooms is None or view.z in self.zooms:
            parts = [view] if self.box is None else near_ranges(self.box, view.z, _RESAMPLING_MARGIN)
            yield from (common for part in parts if (common := part.common(view)) is not None)

    def encode(self) -> bytes:
        """The area as a line of the feed."""
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
    """The area of a line of the feed.

    A line that cannot be read, as of a later version of GeoStream, means everything.
    """
    try:
        found = _read(line)
    except msgspec.DecodeError:
        return EVERYTHING
    zooms = None if found.zooms is None else range(*found.zooms)
    return ChangedArea(found.bbox, zooms, None if found.tiles is None else frozenset(found.tiles))


def changed_tiles(tiles: Iterable[Tile]) -> ChangedArea:
    """The area of these tiles."""
    return ChangedArea(tiles=frozenset(tiles))


def tiles_feed(tileset: str) -> Feed:
    """The change feed of a tileset."""
    return Feed(f"tiles:{tileset}", FeedOptions(log_length=conf.TILE_CHANGES_LOG))


def announce_sync(tileset: str, area: ChangedArea) -> None:
    """Append to the change feed, which every process follows. `StreamError("redis_unavailable")`."""
    tiles_feed(tileset).append_sync([area.encode()])


async def announce(tileset: str, area: ChangedArea) -> None:
    """`announce_sync` for the event loop."""
    await tiles_feed(tileset).append([area.encode()])
