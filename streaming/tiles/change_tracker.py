"""How a live tileset learns that its source has changed, and has the renderer show it.

For most sources, changes are announced on the feed `tiles:<name>`, and the source is read again. A feature layer needs
no announcement: its own feed has every changed feature, so its tiles follow without the layer being read again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from streaming.core.bbox import Box
from streaming.core.feed import Cursor
from streaming.core.follower import Follower, Replacement
from streaming.core.hub import Hub
from streaming.core.items import Change, Item
from streaming.core.replica import Replica
from streaming.features.layers import catalogue, layer_feed

from .change_feed import EVERYTHING, ChangedArea, ChangedTiles, parse_change, tiles_feed
from .changed_boxes import ChangedBoxes
from .grid import Tile, TileRange
from .sources.layer_kind import layer_version, max_zoom
from .tile_renderer import TileRenderer
from .tilesets import TilesetSettings

if TYPE_CHECKING:
    from .sources.layer import LayerSource


class ChangeTracker(Protocol):
    """Collects the changes of one tileset until they are applied."""

    async def start(self, tileset: TilesetSettings, on_change: Callable[[], None]) -> None:
        """Follow the changes from now on; `on_change` is called when there is something to apply. `StreamError`."""

    def stop(self) -> None:
        """Follow nothing more."""

    def add(self, area: ChangedArea) -> None:
        """Collect a change that was noticed in another way."""

    async def catch_up(self) -> bool:
        """Collect all that was announced until now. Returns whether the source may have changed without that. `StreamError`."""

    async def apply(self, tileset: TilesetSettings) -> ChangedTiles | None:
        """Have the renderer show what was collected. Returns what may have changed, None if nothing.

        After a `StreamError` nothing is lost: call it again.
        """


class _Union:
    """The tiles of several areas. Any number of areas that list tiles cost as much as one."""

    def __init__(self, areas: Iterable[ChangedArea]) -> None:
        different = list(dict.fromkeys(areas))
        self._tiles = frozenset[Tile]().union(*(area.tiles for area in different if area.tiles is not None))
        self._others = [area for area in different if area.tiles is None]

    def __contains__(self, tile: Tile, /) -> bool:
        return tile in self._tiles or any(tile in area for area in self._others)

    def intersection(self, tiles: Collection[Tile]) -> Collection[Tile]:
        """Those of the tiles that are in one of the areas."""
        return self._tiles.intersection(tiles).union(*(area.intersection(tiles) for area in self._others))

    def within(self, view: TileRange) -> Iterator[TileRange]:
        """The parts of a rectangle of tiles that are in one of the areas."""
        for area in (ChangedArea(tiles=self._tiles), *self._others):
            yield from area.within(view)


class AnnouncedChangeTracker:
    """Follows the feed `tiles:<name>`."""

    def __init__(self, hub: Hub, renderer: TileRenderer) -> None:
        self._hub = hub
        self._renderer = renderer
        self._areas: list[ChangedArea] = []
        self._follower: Follower | None = None
        self._tileset: TilesetSettings | None = None
        self._on_change: Callable[[], None] = lambda: None

    async def start(self, tileset: TilesetSettings, on_change: Callable[[], None]) -> None:
        """Follow the feed."""
        self._on_change = on_change
        self._follower = await self._hub.tail(tiles_feed(tileset.name))
        self._follower.observe(self)
        self._tileset = tileset
        self._renderer.follow(tileset)

    def stop(self) -> None:
        """Leave the feed."""
        if self._follower is not None:
            self._follower.unobserve(self)
        if self._tileset is not None:
            self._renderer.unfollow(self._tileset)
            self._tileset = None

    def add(self, area: ChangedArea) -> None:
        """Collect it with the others."""
        self._areas.append(area)

    def changed(self, changes: Sequence[Change]) -> None:
        """Lines of the feed have come."""
        self._areas += [parse_change(change.new.value) for change in changes if change.new is not None]
        self._on_change()

    def replaced(self, different: Sequence[Replacement] | None) -> None:
        """Lines of the feed were lost."""
        self._areas.append(EVERYTHING)
        self._on_change()

    async def catch_up(self) -> bool:
        """Read the feed now."""
        if self._follower is not None:
            await self._hub.refresh(self._follower)
        return True

    async def apply(self, tileset: TilesetSettings) -> ChangedTiles | None:
        """Read the source again."""
        areas, self._areas = self._areas, []
        if not areas:
            return None
        changed = EVERYTHING if EVERYTHING in areas else _Union(areas)
        try:
            await self._renderer.refresh(tileset, changed)
        except BaseException:
            self._areas = areas + self._areas
            raise
        return changed


class LayerChangeTracker:
    """Follows the feed of a feature layer, and makes each source out of the one before."""

    def __init__(self, hub: Hub, renderer: TileRenderer) -> None:
        self._hub = hub
        self._renderer = renderer
        self._changed: dict[str, Item | None] = {}
        self._position = Cursor("", 0)
        """Up to where changes were collected."""
        self._all_changed = True
        self._replica: Replica | None = None
        self._source: LayerSource | None = None
        self._on_change: Callable[[], None] = lambda: None

    async def start(self, tileset: TilesetSettings, on_change: Callable[[], None]) -> None:
        """Follow the layer, and show it as it is."""
        self._on_change = on_change
        self._replica = await self._hub.replica(layer_feed(await catalogue.get(tileset.sources[0])))
        self._replica.observe(self)
        await self.apply(tileset)

    def stop(self) -> None:
        """Leave the layer."""
        if self._replica is not None:
            self._replica.unobserve(self)

    def add(self, area: ChangedArea) -> None:
        """Ignored: the feed has every change."""

    def changed(self, changes: Sequence[Change]) -> None:
        """Features were put or deleted."""
        self._changed.update((change.key, change.new) for change in changes)
        self._position = Cursor(self._position.epoch, max(self._position.seq, changes[-1].seq))
        self._on_change()

    def replaced(self, different: Sequence[Replacement] | None) -> None:
        """All features may be others."""
        self._all_changed = True
        self._on_change()

    async def catch_up(self) -> bool:
        """Read the layer's feed now, which has every change."""
        if self._replica is not None:
            await self._hub.refresh(self._replica)
        return False

    async def apply(self, tileset: TilesetSettings) -> ChangedTiles | None:
        """Make the next source and show it."""
        changes, self._changed = self._changed, {}
        position = self._position
        before, self._source = self._source, None  # if showing the next one fails, it is made from scratch
        changed: ChangedTiles = EVERYTHING
        if before is None or self._all_changed:
            self._all_changed = False
            source, position = await self._new_source(tileset)
        elif changes:
            source, boxes = await self._updated_source(before, changes)
            changed = ChangedBoxes(boxes)
        else:
            self._source = before
            return None
        source = source.up_to(max_zoom(tileset))
        await self._renderer.replace(tileset, source, changed, layer_version(position.epoch, position.seq))
        self._source = source
        return changed

    async def _new_source(self, tileset: TilesetSettings) -> tuple[LayerSource, Cursor]:
        """The source, and the moment that it shows."""
        from .sources.layer import LayerSource

        assert self._replica is not None
        items = list(self._replica.items.values())
        self._position = position = self._replica.cursor
        return await self._renderer.cache.pool.run(object(), lambda: LayerSource(tileset.sources[0], items, max_zoom(tileset))), position

    async def _updated_source(self, source: LayerSource, changes: dict[str, Item | None]) -> tuple[LayerSource, list[Box]]:
        return await self._renderer.cache.pool.run(object(), lambda: source.updated(changes))
