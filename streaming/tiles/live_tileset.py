"""Tilesets that somebody looks at: what was touched is rendered once, and handed to every view that wants it.

A live tileset observes the feed on which changes of its source are told: `tiles:<name>`, or its layer's. Several changes within
`GEOSTREAM_TILE_REFRESH_SECONDS` make one refresh. Tiles nobody looks at are only forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection

from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from .change_feed import EVERYTHING, ChangedArea
from .change_tracker import ChangeTracker
from .grid import Tile
from .sources.base import MIME
from .tile_cache import RenderedTile
from .tile_renderer import OpenTileset, TileRenderer
from .tile_updates import TileHistory, TileUpdate, smallest_update, whole_tile
from .tile_viewport import TileViewport
from .tilesets import TilesetSettings

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
KEPT_DELTAS = 64


class _RenderJob:
    """One tile that is being brought to those who wait for it."""

    __slots__ = ("task", "waiters")

    def __init__(self) -> None:
        self.waiters: dict[TileViewport, None] = {}
        self.task: asyncio.Task[None] | None = None

    def cancel(self, view: TileViewport) -> None:
        """The view wants it no more; what nobody waits for is not rendered."""
        self.waiters.pop(view, None)
        if not self.waiters and self.task is not None:
            self.task.cancel()

    def answer(self, tile: Tile, answers: Callable[[TileViewport], TileUpdate | StreamError]) -> None:
        """Hand it over."""
        waiters, self.waiters = self.waiters, {}
        for view in waiters:
            view.arrive(tile, answers(view))


class LiveTileset:
    """One tileset of this process. Everything is called on the event loop."""

    def __init__(self, settings: TilesetSettings, changes: ChangeTracker, versions: TileHistory, service: TileRenderer) -> None:
        self.settings = settings
        self._changes = changes
        self._versions = versions
        self._service = service
        self._watchers: defaultdict[Tile, dict[TileViewport, None]] = defaultdict(dict)
        self._jobs: dict[Tile, _RenderJob] = {}
        self._deltas: OrderedDict[tuple[Tile, str, str, frozenset[str]], TileUpdate] = OrderedDict()
        self._refreshing: asyncio.Task[None] | None = None
        self._stirred = False
        self._refreshed_at = float("-inf")

    # -- who looks --------------------------------------------------------

    async def start(self) -> OpenTileset:
        """Follow the changes, then open the source as it is. `StreamError`."""
        await self._changes.follow(self.settings, self.stir)
        return await self.opened()

    async def opened(self) -> OpenTileset:
        """The source as it is. `StreamError("invalid_source")`."""
        return await self._service.opened(self.settings)

    def attach(self, view: TileViewport) -> None:
        """The view is brought what it wants, and whatever changes."""
        view.supply = self
        self.viewport_moved(view, ())

    def viewport_moved(self, view: TileViewport, before: Collection[Tile]) -> None:
        """A view has moved; `before` are the tiles it wanted until now."""
        now = set(view.tiles)
        for tile in set(before) - now:
            self._unwatch(tile, view)
        for tile in now.difference(before):
            self._watchers[tile][view] = None
        view.pump()

    def detach(self, view: TileViewport) -> None:
        """The view wants nothing any more."""
        for tile in view.tiles:
            self._unwatch(tile, view)
        view.stop()

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

    def touched(self, touched: ChangedArea) -> None:
        """Part of the source has changed, as noticed in this process."""
        self._changes.add(touched)
        self.stir()

    async def verify(self) -> None:
        """Look whether the source is still what was opened, for nobody watched until now."""
        before = await self.opened()
        self._service.reopen(self.settings.name)
        if await self.opened() is not before or not before.metadata.keep:
            self.touched(EVERYTHING)

    def change_settings(self, settings: TilesetSettings) -> None:
        """Other settings: every tile may be different."""
        if settings != self.settings:
            self.settings = settings
            self._service.reopen(settings.name)
            self._touch(list(self._watchers))

    async def _refresh(self) -> None:
        try:
            while self._stirred:
                await asyncio.sleep(self._refreshed_at + conf.TILE_REFRESH_SECONDS - time.monotonic())
                self._stirred = False
                try:
                    touched = await self._changes.take(self.settings)
                except Exception as error:
                    reason = None if isinstance(error, StreamError) else error
                    logger.warning("tileset %s is shown as it was, for now: %s", self.settings.name, error, exc_info=reason)
                    self._stirred = True
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                self._refreshed_at = time.monotonic()
                if touched is not None:
                    self._touch(touched.intersection(self._watchers))
        finally:
            self._refreshing = None

    def _touch(self, tiles: Collection[Tile]) -> None:
        views: defaultdict[TileViewport, list[Tile]] = defaultdict(list)
        for tile in tiles:
            self._jobs.pop(tile, None)  # those who wait get what is under way, and then what is asked for now
            for view in self._watchers[tile]:
                views[view].append(tile)
        for view, touched in views.items():
            view.mark_changed(touched)
        for view in views:
            view.pump()

    def _unwatch(self, tile: Tile, view: TileViewport) -> None:
        watchers = self._watchers.get(tile)
        if watchers is not None:
            watchers.pop(view, None)
            if not watchers:
                del self._watchers[tile]

    # -- bringing tiles ---------------------------------------------------

    def request(self, tile: Tile, view: TileViewport) -> _RenderJob:
        """Bring a view a tile as it is now."""
        job = self._jobs.get(tile)
        if job is None or not job.waiters:  # one without waiters has been cancelled
            job = self._jobs[tile] = _RenderJob()
            job.task = asyncio.create_task(self._bring(tile, job))
        job.waiters[view] = None
        return job

    async def _bring(self, tile: Tile, job: _RenderJob) -> None:
        try:
            rendered = await self._rendered(tile)
            whole = whole_tile(rendered, MIME[(await self.opened()).metadata.format])
            bodies = await self._bodies(tile, rendered, job)
        except StreamError as error:
            refusal = error
        except Exception:
            logger.exception("tile %s of %s could not be rendered", tile, self.settings.name)
            refusal = StreamError("internal", "it could not be rendered; the reason is in the log")
        else:
            job.answer(tile, lambda view: bodies.get((view.base(tile), view.offered)) or whole)
            return
        finally:
            if self._jobs.get(tile) is job:
                del self._jobs[tile]
        job.answer(tile, lambda view: refusal)

    async def _rendered(self, tile: Tile) -> RenderedTile | None:
        try:
            rendered = await self._service.tile(self.settings, tile)
        except StreamError as error:
            if error.code != "unknown_tile":  # outside of what there is
                raise
            return None
        if rendered is not None and len(rendered.data) > conf.MAX_TILE_BYTES:
            raise StreamError("too_large", f"tile {tile.z}/{tile.x}/{tile.y} has {len(rendered.data):,} bytes: too many to be sent")
        return rendered

    async def _bodies(
        self, tile: Tile, rendered: RenderedTile | None, job: _RenderJob
    ) -> dict[tuple[str | None, frozenset[str]], TileUpdate | None]:
        """The delta for each kind of waiter, by the version it holds and what it can apply. Some may come while this waits."""
        made: dict[tuple[str | None, frozenset[str]], TileUpdate | None] = {}
        while missing := {(view.base(tile), view.offered) for view in job.waiters} - made.keys():
            for base, offered in missing:
                made[base, offered] = await self._body(tile, rendered, base, offered)
        if rendered is not None:
            self._versions.keep(self.settings.key, tile, rendered)
        return made

    async def _body(self, tile: Tile, rendered: RenderedTile | None, base: str | None, offered: frozenset[str]) -> TileUpdate | None:
        """The delta, if there is one that is smaller than the whole tile."""
        if rendered is None or base is None or not offered or base == rendered.etag:
            return None
        key = tile, base, rendered.etag, offered
        found = self._deltas.get(key)
        if found is None:
            old = self._versions.find(self.settings.key, tile, base)
            if old is None:
                return None
            found = await self._service.store.flights.join(
                ("delta", self.settings.key, *key), lambda: smallest_update(old, rendered, offered)
            )
            if found.encoding is None:
                return None
            self._deltas[key] = found
            while len(self._deltas) > KEPT_DELTAS:
                self._deltas.popitem(last=False)
        return found
