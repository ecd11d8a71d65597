"""Tilesets that somebody looks at: what was touched is rendered once, and handed to every view that wants it.

A live tileset observes the feed on which changes of its source are told: `tiles:<name>`, or its layer's. Several changes within
`GEOSTREAM_TILE_REFRESH_SECONDS` make one refresh. Tiles nobody looks at are only forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from streaming.conf import conf
from streaming.core.errors import StreamError
from streaming.core.hub import Hub

from .bodies import Body, Versions, body, full
from .changes import Touched
from .following import Changes, changes_of
from .grid import Tile
from .service import Opened, TileService, tile_service
from .sources.base import MIME
from .store import Rendered
from .tilesets import TilesetSettings
from .view import TileView

if TYPE_CHECKING:
    from .watching import TileWatcher

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
KEPT_DELTAS = 64


class _Job:
    """One tile that is being brought to those who wait for it."""

    __slots__ = ("task", "waiters")

    def __init__(self) -> None:
        self.waiters: dict[TileView, None] = {}
        self.task: asyncio.Task[None] | None = None


class LiveTileset:
    """One tileset of this process. Everything is called on the event loop."""

    def __init__(self, settings: TilesetSettings, changes: Changes, versions: Versions, service: TileService) -> None:
        self.settings = settings
        self.views: dict[TileView, None] = {}
        self._changes = changes
        self._versions = versions
        self._service = service
        self._watchers: defaultdict[Tile, dict[TileView, None]] = defaultdict(dict)
        self._jobs: dict[Tile, _Job] = {}
        self._deltas: OrderedDict[tuple[Tile, str, str, frozenset[str]], Body] = OrderedDict()
        self._refreshing: asyncio.Task[None] | None = None
        self._stirred = False
        self._refreshed_at = float("-inf")

    # -- who looks --------------------------------------------------------

    async def start(self) -> Opened:
        """Follow the changes, then open the source as it is. `StreamError`."""
        await self._changes.follow(self.settings, self.stir)
        return await self.opened()

    async def opened(self) -> Opened:
        """The source as it is. `StreamError("invalid_source")`."""
        return await self._service.opened(self.settings)

    def join(self, view: TileView) -> None:
        """The view is brought what it wants, and whatever changes."""
        self.views[view] = None
        view.supply = self
        self.wanted_changed(view, ())

    def wanted_changed(self, view: TileView, before: Collection[Tile]) -> None:
        """A view has moved; `before` are the tiles it wanted until now."""
        now = set(view.wanted)
        for tile in set(before) - now:
            self._unwatch(tile, view)
        for tile in now.difference(before):
            self._watchers[tile][view] = None
        view.pump()

    def leave(self, view: TileView) -> None:
        """The view wants nothing any more."""
        for tile in view.wanted:
            self._unwatch(tile, view)
        view.stop()
        self.views.pop(view, None)

    def stop(self) -> None:
        """Nobody looks any more."""
        self._changes.leave()
        if self._refreshing is not None:
            self._refreshing.cancel()
        for job in self._jobs.values():
            if job.task is not None:
                job.task.cancel()
        self._service.reopen(self.settings.name)

    # -- changes ----------------------------------------------------------

    def stir(self) -> None:
        """Something has changed: look, soon."""
        self._stirred = True
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())

    def touched(self, touched: Touched) -> None:
        """Part of the source has changed, as noticed in this process."""
        self._changes.add(touched)
        self.stir()

    def change_settings(self, settings: TilesetSettings) -> None:
        """Other settings: every tile may be different."""
        if settings != self.settings:
            self.settings = settings
            self._service.reopen(settings.name)
            self._touch(self._watchers.keys())

    async def _refresh(self) -> None:
        try:
            while self._stirred:
                await asyncio.sleep(self._refreshed_at + conf.TILE_REFRESH_SECONDS - time.monotonic())
                self._stirred = False
                try:
                    touched = await self._changes.take(self.settings)
                except StreamError as error:
                    logger.warning("tileset %s is shown as it was, and will be looked at again: %s", self.settings.name, error)
                    self._stirred = True
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                self._refreshed_at = time.monotonic()
                if touched is not None:
                    self._touch([tile for tile in self._watchers if tile in touched])
        finally:
            self._refreshing = None

    def _touch(self, tiles: Collection[Tile]) -> None:
        views: defaultdict[TileView, list[Tile]] = defaultdict(list)
        for tile in tiles:
            self._jobs.pop(tile, None)  # those who wait get what is under way, and then what is asked for now
            for view in self._watchers[tile]:
                views[view].append(tile)
        for view, touched in views.items():
            view.touch(touched)
        for view in views:
            view.pump()

    def _unwatch(self, tile: Tile, view: TileView) -> None:
        watchers = self._watchers.get(tile)
        if watchers is not None:
            watchers.pop(view, None)
            if not watchers:
                del self._watchers[tile]

    # -- bringing tiles ---------------------------------------------------

    def request(self, tile: Tile, view: TileView) -> None:
        """Bring a view a tile as it is now."""
        job = self._jobs.get(tile)
        if job is None:
            job = self._jobs[tile] = _Job()
            job.task = asyncio.create_task(self._bring(tile, job))
        job.waiters[view] = None

    def withdraw(self, tile: Tile, view: TileView) -> None:
        """A view wants the tile no more; what nobody waits for is not rendered."""
        job = self._jobs.get(tile)
        if job is not None and job.waiters.pop(view, 0) is None and not job.waiters:
            del self._jobs[tile]
            assert job.task is not None
            job.task.cancel()

    async def _bring(self, tile: Tile, job: _Job) -> None:
        try:
            rendered = await self._rendered(tile)
            mime = MIME[(await self.opened()).metadata.format]
            whole, bodies = full(rendered, mime), await self._bodies(tile, rendered, job)
        except StreamError as error:
            self._landed(tile, job)
            for view in job.waiters:
                view.fail(tile, error)
            return
        except Exception:
            logger.exception("tile %s of %s could not be rendered", tile, self.settings.name)
            self._landed(tile, job)
            for view in job.waiters:
                view.fail(tile, StreamError("internal", "a tile could not be rendered; it is in the log"))
            return
        self._landed(tile, job)
        for view in list(job.waiters):
            view.arrive(tile, bodies.get((view.base(tile), view.offered)) or whole)

    def _landed(self, tile: Tile, job: _Job) -> None:
        if self._jobs.get(tile) is job:
            del self._jobs[tile]

    async def _rendered(self, tile: Tile) -> Rendered | None:
        try:
            rendered = await self._service.tile(self.settings, tile)
        except StreamError as error:
            if error.code != "unknown_tile":  # outside of what there is
                raise
            return None
        if rendered is not None and len(rendered.data) > conf.MAX_TILE_BYTES:
            raise StreamError("too_large", f"tile {tile.z}/{tile.x}/{tile.y} has {len(rendered.data):,} bytes: too many to be sent")
        return rendered

    async def _bodies(self, tile: Tile, rendered: Rendered | None, job: _Job) -> dict[tuple[str | None, frozenset[str]], Body | None]:
        """The delta for each kind of waiter, by the version it holds and what it can apply. Some may come while this waits."""
        made: dict[tuple[str | None, frozenset[str]], Body | None] = {}
        while missing := {(view.base(tile), view.offered) for view in job.waiters} - made.keys():
            for base, offered in missing:
                made[base, offered] = await self._body(tile, rendered, base, offered)
        if rendered is not None:
            self._versions.keep(self.settings.key, tile, rendered)
        return made

    async def _body(self, tile: Tile, rendered: Rendered | None, base: str | None, offered: frozenset[str]) -> Body | None:
        """The delta, if there is one that is smaller than the whole tile."""
        if rendered is None or base is None or not offered or base == rendered.etag:
            return None
        key = tile, base, rendered.etag, offered
        found = self._deltas.get(key)
        if found is None:
            old = self._versions.find(self.settings.key, tile, base)
            if old is None:
                return None
            found = await self._service.store.flights.join(("delta", self.settings.key, *key), lambda: body(old, rendered, offered))
            if found.encoding is None:
                return None
            self._deltas[key] = found
            while len(self._deltas) > KEPT_DELTAS:
                self._deltas.popitem(last=False)
        return found


class LiveTilesets:
    """The live tilesets of a process."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._live: dict[str, LiveTileset] = {}
        self._holders: Counter[str] = Counter()
        self._starting: dict[str, asyncio.Task[LiveTileset]] = {}
        self._versions = Versions(conf.TILE_HISTORY_BYTES)
        self._watcher: TileWatcher | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def live(self) -> Mapping[str, LiveTileset]:
        """Those that somebody looks at, by `TilesetSettings.key`."""
        return self._live

    async def hold(self, settings: TilesetSettings) -> LiveTileset:
        """The live tileset, followed from now on. Each `hold` is to be ended with a `release`. `StreamError`."""
        key = settings.key
        live = self._live.get(key)
        self._holders[key] += 1
        if live is None:
            task = self._starting.get(key)
            if task is None:
                task = self._starting[key] = asyncio.create_task(self._start(settings))
            try:
                live = await asyncio.shield(task)
            except BaseException:
                self._let_go(key)
                raise
        live.change_settings(settings)
        return live

    def release(self, live: LiveTileset) -> None:
        """One holder fewer; the last one ends it."""
        self._let_go(live.settings.key)

    def stop(self) -> None:
        """End all."""
        if self._watching is not None:
            self._watching.cancel()
        for live in self._live.values():
            live.stop()
        self._live.clear()

    def _let_go(self, key: str) -> None:
        self._holders[key] -= 1
        if not self._holders[key]:
            del self._holders[key]
            live = self._live.pop(key, None)
            if live is not None:
                live.stop()
                self._watch()

    def _watch(self) -> None:
        """Other tilesets are live: watch their files."""
        if self._watcher is not None:
            self._watcher.refresh()
        elif conf.TILE_WATCH:
            from .watching import TileWatcher

            self._watcher = TileWatcher()
            self._watching = asyncio.create_task(self._watcher.run(self._watched, self._noticed))

    def _watched(self) -> dict[str, TilesetSettings]:
        return {live.settings.name: live.settings for live in self._live.values()}

    async def _noticed(self, name: str, touched: Touched) -> None:
        for live in list(self._live.values()):
            if live.settings.name == name:
                live.touched(touched)

    async def _start(self, settings: TilesetSettings) -> LiveTileset:
        try:
            service = tile_service()
            live = LiveTileset(settings, changes_of(settings, self._hub, service), self._versions, service)
            try:
                await live.start()
            except BaseException:
                live.stop()
                raise
            if self._holders[settings.key]:
                self._live[settings.key] = live
                self._watch()
            else:  # whoever asked has gone meanwhile
                live.stop()
            return live
        finally:
            del self._starting[settings.key]
