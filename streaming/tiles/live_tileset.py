"""A live tileset: one that clients of this process look at.

Its changed tiles are rendered once, and sent to every viewport that has them.

A tracker follows the changes of the source. Changes within `GEOSTREAM_TILE_REFRESH_SECONDS` are applied together.
Changed tiles that are in no viewport are only forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from contextlib import suppress

from streaming.core.errors import StreamError
from streaming.core.lru import LRU
from streaming.engine.conf import conf

from .change_feed import EVERYTHING, ChangedArea, ChangedTiles
from .change_tracker import ChangeTracker
from .grid import Tile
from .sources.base import MIME
from .tile_cache import RenderedTile
from .tile_notices import TileNotices, changed_within
from .tile_renderer import OpenTileset, TileRenderer
from .tile_updates import TileHistory, TileUpdate, smallest_update, whole_tile
from .tile_viewport import TileViewport
from .tilesets import TilesetSettings

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
CATCH_UP_SECONDS = 5.0
"""How long a request waits for changes to be applied, at most."""
KEPT_DELTAS = 64

Holder = tuple[str | None, frozenset[str]]
"""What a delta depends on, of a client: the version it holds (None: none), and the delta encodings it can apply."""


class _RenderJob:
    """One tile that is being rendered, and the viewports that wait for it."""

    __slots__ = ("task", "waiters")

    def __init__(self) -> None:
        self.waiters: dict[TileViewport, None] = {}
        self.task: asyncio.Task[None] | None = None

    def cancel(self, view: TileViewport) -> None:
        """A viewport waits no more. Without a waiter the tile is not rendered."""
        self.waiters.pop(view, None)
        if not self.waiters and self.task is not None:
            self.task.cancel()

    def finish(self, tile: Tile, result: Callable[[TileViewport], TileUpdate | StreamError]) -> None:
        """Hand the tile to all that wait."""
        waiters, self.waiters = self.waiters, {}
        for view in waiters:
            view.receive(tile, result(view))


class LiveTileset:
    """One tileset of this process, from the first viewport to the last. All methods are called on the event loop."""

    def __init__(self, settings: TilesetSettings, tracker: ChangeTracker, history: TileHistory, renderer: TileRenderer) -> None:
        self.settings = settings
        self._tracker = tracker
        self._history = history
        self._renderer = renderer
        self._views: defaultdict[Tile, dict[TileViewport, None]] = defaultdict(dict)
        self._notices: dict[TileNotices, None] = {}
        self._jobs: dict[Tile, _RenderJob] = {}
        self._deltas: LRU[tuple[Tile, str, str, frozenset[str]], TileUpdate] = LRU(KEPT_DELTAS)
        self._refreshing: asyncio.Task[None] | None = None
        self._refresh_needed = False
        self._refreshed_at = float("-inf")

    async def start(self) -> OpenTileset:
        """Follow the changes, then open the source as it is. `StreamError`."""
        await self._tracker.start(self.settings, self.schedule_refresh)
        return await self.opened()

    async def opened(self) -> OpenTileset:
        """The tileset, with its source as it is now. `StreamError("invalid_source")`."""
        return await self._renderer.opened(self.settings)

    @property
    def version_name(self) -> str | None:
        """The name of the version that is shown now."""
        return self._renderer.version_name(self.settings)

    def stop(self) -> None:
        """Follow and render nothing more."""
        self._tracker.stop()
        if self._refreshing is not None:
            self._refreshing.cancel()
        for job in self._jobs.values():
            if job.task is not None:
                job.task.cancel()
        self._renderer.reopen(self.settings.name)

    # -- viewports ----------------------------------------------------------

    def attach(self, view: TileViewport) -> None:
        """Send a viewport its tiles, and their changes from now on."""
        view.provider = self
        self.viewport_moved(view, ())

    def viewport_moved(self, view: TileViewport, before: Collection[Tile]) -> None:
        """A viewport has other tiles; `before` are those it had."""
        now = set(view.tiles)
        for tile in set(before) - now:
            self._unregister(tile, view)
        for tile in now.difference(before):
            self._views[tile][view] = None
        view.request_tiles()

    def detach(self, view: TileViewport) -> None:
        """Send a viewport nothing more."""
        for tile in view.tiles:
            self._unregister(tile, view)
        view.stop()

    def notify(self, notices: TileNotices) -> None:
        """Report changed tiles of a view from now on."""
        self._notices[notices] = None

    def stop_notices(self, notices: TileNotices) -> None:
        """Report nothing more."""
        self._notices.pop(notices, None)
        notices.stop()

    def _unregister(self, tile: Tile, view: TileViewport) -> None:
        views = self._views.get(tile)
        if views is not None:
            views.pop(view, None)
            if not views:
                del self._views[tile]

    # -- changes ------------------------------------------------------------

    def schedule_refresh(self) -> None:
        """Apply what the tracker has collected, soon."""
        self._refresh_needed = True
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())

    def add_change(self, area: ChangedArea) -> None:
        """Apply a change of the source that was noticed in this process."""
        self._tracker.add(area)
        self.schedule_refresh()

    async def catch_up(self) -> bool:
        """Apply all changes until now; returns whether that has been done in time. `StreamError`."""
        if await self._tracker.catch_up():
            await self.check_source()
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_SECONDS):
                while self._refreshing is not None:
                    await asyncio.wait((self._refreshing,))
        return self._refreshing is None

    async def check_source(self) -> None:
        """Apply changes of the source that came before its files were watched."""
        before = await self.opened()
        self._renderer.reopen(self.settings.name)
        if await self.opened() is not before or not before.metadata.cacheable:
            self.add_change(EVERYTHING)

    def change_settings(self, settings: TilesetSettings) -> None:
        """Show the tileset with other settings: every tile may be different."""
        if settings != self.settings:
            self.settings = settings
            self._renderer.reopen(settings.name)
            self._mark_changed(list(self._views))
            for notices in self._notices:
                notices.add(None, None)

    async def _refresh(self) -> None:
        try:
            while self._refresh_needed:
                await asyncio.sleep(self._refreshed_at + conf.TILE_REFRESH_SECONDS - time.monotonic())
                self._refresh_needed = False
                try:
                    changed = await self._tracker.apply(self.settings)
                except Exception as error:
                    reason = None if isinstance(error, StreamError) else error
                    logger.warning("tileset %s is shown as it was, for now: %s", self.settings.name, error, exc_info=reason)
                    self._refresh_needed = True
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                self._refreshed_at = time.monotonic()
                if changed is not None:
                    self._mark_changed(changed.intersection(self._views))
                    await self._report(changed)
        finally:
            self._refreshing = None

    async def _report(self, changed: ChangedTiles) -> None:
        """Tell those who fetch tiles themselves. Views are compared in a thread, each once."""
        views, limit = {notices.view for notices in self._notices}, int(conf.TILE_NOTICE_TILES)
        if not views:
            return
        version = self.version_name
        found = await self._renderer.cache.pool.run(object(), lambda: {view: changed_within(changed, view, limit) for view in views})
        for notices in self._notices:
            notices.add(found.get(notices.view), version)  # None: it has moved meanwhile

    def _mark_changed(self, tiles: Collection[Tile]) -> None:
        changed: defaultdict[TileViewport, list[Tile]] = defaultdict(list)
        for tile in tiles:
            self._jobs.pop(tile, None)  # its waiters get that version, and then the one that is requested now
            for view in self._views[tile]:
                changed[view].append(tile)
        for view, of_view in changed.items():
            view.mark_changed(of_view)
        for view in changed:
            view.request_tiles()

    # -- rendering ----------------------------------------------------------

    def request(self, tile: Tile, view: TileViewport) -> _RenderJob:
        """Render a tile as it is now, for a viewport."""
        job = self._jobs.get(tile)
        if job is None or not job.waiters:  # a job without waiters has been cancelled
            job = self._jobs[tile] = _RenderJob()
            job.task = asyncio.create_task(self._run(tile, job))
        job.waiters[view] = None
        return job

    async def _run(self, tile: Tile, job: _RenderJob) -> None:
        try:
            rendered = await self._render(tile)
            whole = whole_tile(rendered, MIME[(await self.opened()).metadata.format])
            deltas = await self._deltas_for(tile, rendered, job)
        except StreamError as error:
            refusal = error
        except Exception:
            logger.exception("tile %s of %s could not be rendered", tile, self.settings.name)
            refusal = StreamError("internal", "it could not be rendered; the reason is in the log")
        else:
            job.finish(tile, lambda view: deltas.get((view.held_version(tile), view.offered)) or whole)
            return
        finally:
            if self._jobs.get(tile) is job:
                del self._jobs[tile]
        job.finish(tile, lambda view: refusal)

    async def _render(self, tile: Tile) -> RenderedTile | None:
        try:
            rendered = await self._renderer.tile(self.settings, tile)
        except StreamError as error:
            if error.code != "unknown_tile":  # a place that the tileset does not have is empty
                raise
            return None
        if rendered is not None and len(rendered.data) > conf.MAX_TILE_BYTES:
            raise StreamError("too_large", f"tile {tile.z}/{tile.x}/{tile.y} has {len(rendered.data):,} bytes: too many to be sent")
        return rendered

    async def _deltas_for(self, tile: Tile, rendered: RenderedTile | None, job: _RenderJob) -> dict[Holder, TileUpdate | None]:
        """The delta for each kind of waiter. More waiters may come while deltas are made."""
        made: dict[Holder, TileUpdate | None] = {}
        while missing := {(view.held_version(tile), view.offered) for view in job.waiters} - made.keys():
            for held, offered in missing:
                made[held, offered] = await self._delta(tile, rendered, held, offered)
        if rendered is not None:
            self._history.add(self.settings.key, tile, rendered)
        return made

    async def _delta(self, tile: Tile, rendered: RenderedTile | None, held: str | None, offered: frozenset[str]) -> TileUpdate | None:
        """The delta from the version that is held, None if there is none that is smaller than the whole tile."""
        if rendered is None or held is None or not offered or held == rendered.etag:
            return None
        key = tile, held, rendered.etag, offered
        found = self._deltas.get(key)
        if found is None:
            old = self._history.find(self.settings.key, tile, held)
            if old is None:
                return None
            task = ("delta", self.settings.key, *key)
            found = await self._renderer.cache.pool.run(task, lambda: smallest_update(old, rendered, offered))
            if found.encoding is None:
                return None
            self._deltas.put(key, found)
        return found
