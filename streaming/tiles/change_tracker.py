"""How a live tileset learns that its source has changed, and makes the service show it.

Most sources are announced to have changed on the feed `tiles:<name>`, and are then read again. A feature layer needs no announcement: its
own feed has every feature that changed, so its tiles follow without the layer ever being read again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from streaming.core.bbox import Box
from streaming.core.follower import Follower
from streaming.core.hub import Hub
from streaming.core.items import Change, Item
from streaming.core.replica import Replica
from streaming.features.layers import catalogue, layer_feed

from .change_feed import EVERYTHING, ChangedArea, ChangedTiles, parse_change, tiles_feed
from .changed_boxes import ChangedBoxes
from .grid import Tile
from .tile_renderer import TileRenderer
from .tilesets import TilesetSettings

if TYPE_CHECKING:
    from .sources.layer import LayerSource


class ChangeTracker(Protocol):
    """Gathers the changes of one tileset."""

    async def follow(self, tileset: TilesetSettings, stir: Callable[[], None]) -> None:
        """From now on call `stir` when there is something to take. `StreamError`."""

    def leave(self) -> None:
        """Tell nothing any more."""

    def add(self, touched: ChangedArea) -> None:
        """Something else noticed a change."""

    async def take(self, tileset: TilesetSettings) -> ChangedTiles | None:
        """Show what has changed. What may be different now, None if nothing. After a `StreamError` nothing is lost: take again."""


class _Union:
    """Tiles that are in any of the parts. Any number of parts that name tiles cost as much as one."""

    def __init__(self, parts: Iterable[ChangedArea]) -> None:
        different = list(dict.fromkeys(parts))
        self._tiles = frozenset[Tile]().union(*(part.tiles for part in different if part.tiles is not None))
        self._others = [part for part in different if part.tiles is None]

    def __contains__(self, tile: Tile, /) -> bool:
        return tile in self._tiles or any(tile in part for part in self._others)

    def intersection(self, tiles: Collection[Tile]) -> Collection[Tile]:
        """Those of the tiles that are in any."""
        return self._tiles.intersection(tiles).union(*(part.intersection(tiles) for part in self._others))


class AnnouncedChangeTracker:
    """What is told on `tiles:<name>`."""

    def __init__(self, hub: Hub, service: TileRenderer) -> None:
        self._hub = hub
        self._service = service
        self._parts: list[ChangedArea] = []
        self._follower: Follower | None = None
        self._stir: Callable[[], None] = lambda: None

    async def follow(self, tileset: TilesetSettings, stir: Callable[[], None]) -> None:
        """Follow the feed."""
        self._stir = stir
        self._follower = await self._hub.tail(tiles_feed(tileset.name))
        self._follower.observe(self)
        self._service.reopen(tileset.name)  # what changed before is seen there

    def leave(self) -> None:
        """Follow it no more."""
        if self._follower is not None:
            self._follower.unobserve(self)

    def add(self, touched: ChangedArea) -> None:
        """Take it with the others."""
        self._parts.append(touched)

    def changed(self, changes: Sequence[Change]) -> None:
        """Lines of the feed."""
        self._parts += [parse_change(change.new.value) for change in changes if change.new is not None]
        self._stir()

    def replaced(self) -> None:
        """Lines were lost."""
        self._parts.append(EVERYTHING)
        self._stir()

    async def take(self, tileset: TilesetSettings) -> ChangedTiles | None:
        """Read the source again."""
        parts, self._parts = self._parts, []
        if not parts:
            return None
        touched = EVERYTHING if EVERYTHING in parts else _Union(parts)
        try:
            await self._service.refresh(tileset, touched)
        except BaseException:
            self._parts = parts + self._parts
            raise
        return touched


class LayerChangeTracker:
    """What happens on the feed of a feature layer. The service shows what the replica has; the layer is never read again."""

    def __init__(self, hub: Hub, service: TileRenderer) -> None:
        self._hub = hub
        self._service = service
        self._changed: dict[str, Item | None] = {}
        self._anew = True
        self._replica: Replica | None = None
        self._source: LayerSource | None = None
        self._stir: Callable[[], None] = lambda: None

    async def follow(self, tileset: TilesetSettings, stir: Callable[[], None]) -> None:
        """Follow the layer, and show it as it is."""
        self._stir = stir
        self._replica = await self._hub.replica(layer_feed(await catalogue.get(tileset.sources[0])))
        self._replica.observe(self)
        await self.take(tileset)

    def leave(self) -> None:
        """Follow it no more."""
        if self._replica is not None:
            self._replica.unobserve(self)

    def add(self, touched: ChangedArea) -> None:
        """Nobody else knows better than the feed."""

    def changed(self, changes: Sequence[Change]) -> None:
        """Features were put or deleted."""
        self._changed.update((change.key, change.new) for change in changes)
        self._stir()

    def replaced(self) -> None:
        """All features may be others."""
        self._anew = True
        self._stir()

    async def take(self, tileset: TilesetSettings) -> ChangedTiles | None:
        """Make the next source out of the last one."""
        changed, self._changed = self._changed, {}
        before, self._source = self._source, None  # until the next one is shown: made anew, should that fail
        touched: ChangedTiles = EVERYTHING
        if before is None or self._anew:
            self._anew = False
            source = await self._made(tileset)
        elif changed:
            source, boxes = await self._updated(before, changed)
            touched = ChangedBoxes(boxes)
        else:
            self._source = before
            return None
        await self._service.replace(tileset, source, touched)
        self._source = source
        return touched

    async def _made(self, tileset: TilesetSettings) -> LayerSource:
        from .sources.layer import LayerSource

        assert self._replica is not None
        items = list(self._replica.items.values())
        return await self._service.store.flights.join(object(), lambda: LayerSource(tileset.sources[0], items))

    async def _updated(self, source: LayerSource, changed: dict[str, Item | None]) -> tuple[LayerSource, list[Box]]:
        return await self._service.store.flights.join(object(), lambda: source.updated(changed))


def change_tracker(tileset: TilesetSettings, hub: Hub, service: TileRenderer) -> ChangeTracker:
    """What tells of this tileset's changes."""
    return LayerChangeTracker(hub, service) if tileset.kind == "layer" else AnnouncedChangeTracker(hub, service)
