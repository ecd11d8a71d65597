"""The live tilesets of a process: each lives, and its files are watched, from its first client to its last."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.engine.service import Service

from .change_feed import ChangedArea
from .live_tileset import LiveTileset
from .tile_renderer import tile_renderer
from .tile_updates import TileHistory
from .tilesets import TilesetSettings

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

    from .file_watcher import SourceWatcher

logger = logging.getLogger(__name__)

RESTART_SECONDS = 5.0


class LiveTilesets(Service):
    """Starts and stops live tilesets. It is made with the first client, because its imports take a moment."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._hub = runtime.hub
        self._live: dict[str, LiveTileset] = {}
        self._references: Counter[str] = Counter()
        self._starting: dict[str, asyncio.Task[LiveTileset]] = {}
        self._history = TileHistory(conf.TILE_HISTORY_BYTES)
        self._watcher: SourceWatcher | None = None
        self._watching: asyncio.Task[None] | None = None
        self._checks: set[asyncio.Task[None]] = set()
        self._fetched: dict[str, float] = {}
        """When tiles of a tileset were last fetched over HTTP, of those that are followed because of it."""

    @property
    def live(self) -> Mapping[str, LiveTileset]:
        """The live tilesets by `TilesetSettings.key`."""
        return self._live

    async def acquire(self, settings: TilesetSettings) -> LiveTileset:
        """The live tileset, started if it is not yet. Each `acquire` must be followed by a `release`. `StreamError`."""
        key = settings.key
        live = self._live.get(key)
        self._references[key] += 1
        if live is None:
            task = self._starting.get(key)
            if task is None:
                task = self._starting[key] = asyncio.create_task(self._start(settings))
                task.add_done_callback(lambda done: done.cancelled() or done.exception())  # all callers may have been cancelled
            try:
                live = await asyncio.shield(task)
            except BaseException:
                self._release(key)
                raise
        live.change_settings(settings)
        return live

    def release(self, live: LiveTileset) -> None:
        """End a reference; the last one stops the live tileset."""
        self._release(live.settings.key)

    async def fetched(self, settings: TilesetSettings) -> None:
        """Tiles are fetched over HTTP: a tileset that has to be followed to show its changes is, for a while. `StreamError`.

        The layer would be read anew after each change, otherwise.
        """
        if not settings.source_kind.follows:
            return
        if self.still_fetched(settings):
            if (followed := self._live.get(settings.key)) is not None:
                followed.change_settings(settings)
            return
        live = await self.acquire(settings)
        if self.still_fetched(settings):  # another request was faster
            self.release(live)
            return
        self._fetched[settings.key] = time.monotonic()
        self.runtime.spawn(self._keep(live))

    def still_fetched(self, settings: TilesetSettings) -> bool:
        """Note that a tile was fetched, if the tileset is followed because of that."""
        followed = settings.key in self._fetched
        if followed:
            self._fetched[settings.key] = time.monotonic()
        return followed

    async def _keep(self, live: LiveTileset) -> None:
        key = live.settings.key
        try:
            while (left := self._fetched[key] + conf.TILE_FOLLOW_SECONDS - time.monotonic()) > 0:
                await asyncio.sleep(left)
        finally:
            del self._fetched[key]
            self.release(live)

    async def stop(self) -> None:
        """Stop all."""
        for task in (self._watching, *self._checks):
            if task is not None:
                task.cancel()
        for live in self._live.values():
            live.stop()
        self._live.clear()

    async def _start(self, settings: TilesetSettings) -> LiveTileset:
        try:
            renderer = tile_renderer()
            tracker = settings.source_kind.change_tracker(self._hub, renderer)
            live = LiveTileset(settings, tracker, self._history, renderer)
            try:
                await live.start()
            except BaseException:
                live.stop()
                raise
            if self._references[settings.key]:
                self._live[settings.key] = live
                self._watch_files()
                if settings.source_kind.has_files:
                    self._checks.add(task := asyncio.create_task(self._check_source(live)))
                    task.add_done_callback(self._checks.discard)
            else:  # all callers have been cancelled meanwhile
                live.stop()
            return live
        finally:
            del self._starting[settings.key]

    def _release(self, key: str) -> None:
        self._references[key] -= 1
        if not self._references[key]:
            del self._references[key]
            live = self._live.pop(key, None)
            if live is not None:
                live.stop()
                self._watch_files()

    # -- files --------------------------------------------------------------

    def _watch_files(self) -> None:
        """Other tilesets are live: watch their files."""
        if self._watcher is not None:
            self._watcher.refresh()
        elif conf.TILE_WATCH:
            from .file_watcher import SourceWatcher

            self._watcher = SourceWatcher()
            self._watching = asyncio.create_task(self._keep_watching(self._watcher))

    async def _keep_watching(self, watcher: SourceWatcher) -> None:
        while True:
            try:
                await watcher.run(self._live_settings, self._on_file_change)
            except Exception:
                logger.exception("files of tilesets are not watched, for a moment")
                await asyncio.sleep(RESTART_SECONDS)

    async def _check_source(self, live: LiveTileset) -> None:
        """Once its files are watched, find what changed before."""
        if self._watcher is not None:
            await self._watcher.watching.wait()
            with suppress(StreamError):  # requests for tiles are refused with it
                await live.check_source()

    def _live_settings(self) -> dict[str, TilesetSettings]:
        return {live.settings.name: live.settings for live in self._live.values()}

    async def _on_file_change(self, name: str, area: ChangedArea) -> None:
        for live in list(self._live.values()):
            if live.settings.name == name:
                live.add_change(area)
