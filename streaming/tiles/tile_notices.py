"""Notices: which tiles have changed, for clients that fetch tiles themselves.

No tile is rendered for a notice, and nothing is kept of what clients hold. What waits for a slow client are coordinates,
each once, up to a limit; beyond that the notice says that any tile in view may have changed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Any

from streaming.core.bbox import Box
from streaming.core.outbox import Outbox
from streaming.engine.conf import conf

from .change_feed import EVERYTHING, ChangedTiles
from .grid import Tile, TileRange, tile_ranges

View = tuple[TileRange, ...]
"""The tiles that are looked at: one or two rectangles of each zoom."""

BYTES_PER_TILE = 16


def tiles_of_view(box: Box, zooms: Iterable[int]) -> View:
    """The view of a box in these zooms."""
    return tuple(part for z in zooms for part in tile_ranges(box, z))


def changed_within(changed: ChangedTiles, view: View, limit: int) -> Collection[Tile] | None:
    """Those tiles of a view that may have changed; None if there are more than `limit`. Takes long where much has changed."""
    if changed == EVERYTHING:
        return None if view else ()
    found: set[Tile] = set()
    for part in view:
        for touched in changed.within(part):
            if len(touched) > limit:
                return None
            found.update(touched.tiles())
            if len(found) > limit:
                return None
    return found


class TileNotices:
    """What one subscription is still to be told of one tileset: a source of its outbox.

    `encode` makes the frames of a notice from the tiles (None: any of the view) and the version of the tileset.
    """

    def __init__(
        self, outbox: Outbox, encode: Callable[[Collection[Tile] | None, str | None], list[Any]], view: View, lane: Hashable
    ) -> None:
        self.owner: object = self
        self.view = view
        self._outbox, self._encode, self._lane = outbox, encode, lane
        self._tiles: dict[Tile, None] | None = {}
        self._version: str | None = None
        self._sent_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._queued = False

    def move(self, view: View) -> None:
        """Look at other tiles. Those that have left the view are not reported any more."""
        self.view = view
        if self._tiles:
            self._tiles = {tile: None for tile in self._tiles if any(part.z == tile.z and part.contains(tile.x, tile.y) for part in view)}

    def add(self, tiles: Collection[Tile] | None, version: str | None) -> None:
        """Report that these tiles have changed (None: any in view), at once or when it is time for the next notice."""
        self._version = version
        if tiles is None or self._tiles is None:
            self._tiles = None
        elif tiles:
            self._tiles.update(dict.fromkeys(tiles))
            if len(self._tiles) > conf.TILE_NOTICE_TILES:
                self._tiles = None
        if len(self) and self._timer is None and not self._queued:
            wait = self._sent_at + conf.TILE_NOTICE_SECONDS - time.monotonic()
            if wait > 0:
                self._timer = asyncio.get_running_loop().call_later(wait, self._queue)
            else:
                self._queue()

    def stop(self) -> None:
        """Report nothing more."""
        if self._timer is not None:
            self._timer.cancel()
        self._outbox.forget(self)

    def _queue(self) -> None:
        self._timer, self._queued = None, True
        self._outbox.put(self, self._lane)

    # -- the interface of a source of the outbox ----------------------------

    @property
    def size(self) -> int:
        """Bytes that wait for the socket, roughly."""
        return BYTES_PER_TILE * len(self._tiles or ())

    def __len__(self) -> int:
        return int(self._tiles is None or bool(self._tiles))

    def take(self, limit: int) -> list[Any]:
        """One notice with everything that waits."""
        tiles, self._tiles, self._queued = self._tiles, {}, False
        self._sent_at = time.monotonic()
        return [] if tiles is not None and not tiles else self._encode(tiles, self._version)
