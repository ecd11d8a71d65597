"""How a live tileset learns that its source has changed, and makes the service show it.

Most sources are announced to have changed on the feed `tiles:<name>`, and are then read again. A feature layer needs no announcement: its
own feed has every feature that changed, so its tiles follow without the layer ever being read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from streaming.core.errors import StreamError
from streaming.core.follower import Follower
from streaming.core.hub import Hub
from streaming.core.items import Change

from .changes import EVERYTHING, Touched, parse_touched, tiles_feed
from .grid import Tile
from .service import TileService
from .tilesets import TilesetSettings


class Places(Protocol):
    """Tiles that may have changed."""

    def __contains__(self, tile: object, /) -> bool:
        """Whether this one is among them."""


class Changes(Protocol):
    """Gathers the changes of one tileset."""

    async def follow(self, tileset: TilesetSettings, stir: Callable[[], None]) -> None:
        """From now on call `stir` when there is something to take. `StreamError`."""

    def leave(self) -> None:
        """Tell nothing any more."""

    def add(self, touched: Touched) -> None:
        """Something else noticed a change."""

    async def take(self, tileset: TilesetSettings) -> Places | None:
        """Show what has changed. What may be different now, None if nothing. After a `StreamError` nothing is lost: take again."""


class _Any:
    """Tiles that are in any of the parts."""

    def __init__(self, parts: Iterable[Touched]) -> None:
        self._parts = list(dict.fromkeys(parts))

    def __contains__(self, tile: object, /) -> bool:
        assert isinstance(tile, Tile)
        return any(tile in part for part in self._parts)


class AnnouncedChanges:
    """What is told on `tiles:<name>`."""

    def __init__(self, hub: Hub, service: TileService) -> None:
        self._hub = hub
        self._service = service
        self._parts: list[Touched] = []
        self._follower: Follower | None = None
        self._stir: Callable[[], None] = lambda: None

    async def follow(self, tileset: TilesetSettings, stir: Callable[[], None]) -> None:
        """Follow the feed."""
        self._stir = stir
        self._follower = await self._hub.tail(tiles_feed(tileset.name))
        self._follower.observe(self)

    def leave(self) -> None:
        """Follow it no more."""
        if self._follower is not None:
            self._follower.unobserve(self)

    def add(self, touched: Touched) -> None:
        """Take it with the others."""
        self._parts.append(touched)

    def changed(self, changes: Sequence[Change]) -> None:
        """Lines of the feed."""
        self._parts += [parse_touched(change.new.value) for change in changes if change.new is not None]
        self._stir()

    def replaced(self) -> None:
        """Lines were lost."""
        self._parts.append(EVERYTHING)
        self._stir()

    async def take(self, tileset: TilesetSettings) -> Places | None:
        """Read the source again."""
        parts, self._parts = self._parts, []
        if not parts:
            return None
        touched = EVERYTHING if EVERYTHING in parts else _Any(parts)
        try:
            await self._service.refresh(tileset, touched)
        except StreamError:
            self._parts = parts + self._parts
            raise
        return touched


def changes_of(tileset: TilesetSettings, hub: Hub, service: TileService) -> Changes:
    """What tells of this tileset's changes."""
    return AnnouncedChanges(hub, service)
