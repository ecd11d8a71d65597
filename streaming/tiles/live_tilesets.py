"""The tilesets that somebody in this process looks at: followed from the first viewer to the last, and their files watched meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.engine.service import Service

from .change_feed import ChangedArea
from .change_tracker import change_tracker
from .live_tileset import LiveTileset
from .tile_renderer import tile_renderer
from .tile_updates import TileHistory
from .tilesets import TilesetSettings

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

    from .file_watcher import SourceWatcher

logger = logging.getLogger(__name__)

WATCH_AGAIN_SECONDS = 5.0


class LiveTilesets(Service):
    """The live tilesets of a process. Made with the first viewer, for what it needs takes a moment to import."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._hub = runtime.hub
        self._live: dict[str, LiveTileset] = {}
        self._holders: Counter[str] = Counter()
        self._starting: dict[str, asyncio.Task[LiveTileset]] = {}
        self._versions = TileHistory(conf.TILE_HISTORY_BYTES)
        self._watcher: SourceWatcher | None = None
        self._watching: asyncio.Task[None] | None = None
        self._verifying: set[asyncio.Task[None]] = set()

    @property
    def live(self) -> Mapping[str, LiveTileset]:
        """Those that somebody looks at, by `TilesetSettings.key`."""
        return self._live

    async def acquire(self, settings: TilesetSettings) -> LiveTileset:
        """The live tileset, followed from now on. Each `acquire` is to be ended with a `release`. `StreamError`."""
        key = settings.key
        live = self._live.get(key)
        self._holders[key] += 1
        if live is None:
            task = self._starting.get(key)
            if task is None:
                task = self._starting[key] = asyncio.create_task(self._start(settings))
                task.add_done_callback(lambda done: done.cancelled() or done.exception())  # all who asked may have gone
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

    async def stop(self) -> None:
        """End all."""
        for task in (self._watching, *self._verifying):
            if task is not None:
                task.cancel()
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
            from .file_watcher import SourceWatcher

            self._watcher = SourceWatcher()
            self._watching = asyncio.create_task(self._keep_watching(self._watcher))

    async def _keep_watching(self, watcher: SourceWatcher) -> None:
        while True:
            try:
                await watcher.run(self._watched, self._noticed)
            except Exception:
                logger.exception("files of tilesets are not watched, for a moment")
                await asyncio.sleep(WATCH_AGAIN_SECONDS)

    async def _verify(self, live: LiveTileset) -> None:
        """Once its files are watched, see what happened before."""
        if self._watcher is not None:
            await self._watcher.watching.wait()
            with suppress(StreamError):  # whoever asks for a tile is told
                await live.verify()

    def _watched(self) -> dict[str, TilesetSettings]:
        return {live.settings.name: live.settings for live in self._live.values()}

    async def _noticed(self, name: str, touched: ChangedArea) -> None:
        for live in list(self._live.values()):
            if live.settings.name == name:
                live.touched(touched)

    async def _start(self, settings: TilesetSettings) -> LiveTileset:
        try:
            service = tile_renderer()
            live = LiveTileset(settings, change_tracker(settings, self._hub, service), self._versions, service)
            try:
                await live.start()
            except BaseException:
                live.stop()
                raise
            if self._holders[settings.key]:
                self._live[settings.key] = live
                self._watch()
                self._verifying.add(task := asyncio.create_task(self._verify(live)))
                task.add_done_callback(self._verifying.discard)
            else:  # whoever asked has gone meanwhile
                live.stop()
            return live
        finally:
            del self._starting[settings.key]
