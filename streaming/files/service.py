"""The service of files in one process: the folder, its watcher, its audit, and what has to be cleared away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.files.storage import storages

from streaming.engine.conf import conf, data_dir
from streaming.engine.measures import Sample
from streaming.engine.service import Service

from .changes import OUTSIDE, FolderChange
from .disk_store import DiskStore
from .folder import Folder
from .folder_feed import FolderFeed
from .folder_index import FolderIndex
from .http.access import Access
from .storage_store import StorageStore
from .store import Store

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

    from .audit import Audit
    from .watcher import Watcher

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""How often a process that has not opened the folder looks whether there is one."""
CLEAR_SECONDS = 3600.0
LEFT_OVER_SECONDS = 3600.0
"""An upload to which nothing was written for so long was left by a process that died."""


class FilesService(Service):
    """Opens the folder with the first request, or when there is something in it."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.requests: Counter[tuple[str, str]] = Counter({("list", "200"): 0})
        self.request_seconds: defaultdict[str, float] = defaultdict(float, list=0.0)
        self.counts: Counter[str] = Counter()
        """received, sent (bytes), hash_failures, conflicts."""
        self.changes: Counter[tuple[str, str]] = Counter({("upload", "clients"): 0})
        self.access = Access()
        self.watcher: Watcher | None = None
        self.audit: Audit | None = None
        self._folder: Folder | None = None
        self._opening = asyncio.Lock()
        self._when_opened: list[Callable[[Folder], object]] = []
        self._threads = ThreadPoolExecutor(conf.FILES_THREADS, thread_name_prefix="files")
        self._stopped = False

    async def folder(self) -> Folder:
        """The folder, opened now if it was not. `StreamError` if Redis does not answer."""
        if self._folder is None:
            async with self._opening:
                if self._folder is None:
                    self._folder = await self._open()
                    for call in self._when_opened:
                        call(self._folder)
        return self._folder

    def when_opened(self, call: Callable[[Folder], object]) -> None:
        """Call with the folder once this process has opened it."""
        self._when_opened.append(call)

    async def start(self) -> None:
        """Watch the folder, if there is one or as soon as there is."""
        self.runtime.hub.every(LOOK_SECONDS, self._open_if_there)
        self.runtime.hub.every(CLEAR_SECONDS, self._clear)

    async def stop(self) -> None:
        """Let others watch, and write down what was changed."""
        self._stopped = True
        if self.watcher is not None:
            await self.watcher.stop()
        if self.audit is not None:
            try:
                async with asyncio.timeout(1.0):
                    await self.audit.flush()
            except Exception:
                logger.exception("some changes of files are not in the audit")
            await self.audit.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.index.close()
            folder.store.close()

    def access_changed(self) -> None:
        """Believe no token any more without asking."""
        self.access.clear()

    def collect(self) -> Iterable[Sample]:
        """What the folder holds, and what was done."""
        folder, watcher = self._folder, self.watcher
        if folder is not None:
            yield "geostream_files", (), folder.index.files
            yield "geostream_files_bytes", (), folder.index.bytes
        for (action, status), count in self.requests.items():
            yield "geostream_files_requests_total", (action, status), count
        for action, seconds in self.request_seconds.items():
            yield "geostream_files_request_seconds_total", (action,), seconds
        yield "geostream_files_received_bytes_total", (), self.counts["received"]
        yield "geostream_files_sent_bytes_total", (), self.counts["sent"]
        for labels, count in self.changes.items():
            yield "geostream_files_changes_total", labels, count
        yield "geostream_files_hash_failures_total", (), self.counts["hash_failures"]
        yield "geostream_files_conflicts_total", (), self.counts["conflicts"]
        if watcher is not None:
            yield "geostream_files_watching", (), watcher.watching
            yield "geostream_files_unsettled", (), watcher.unsettled
            yield "geostream_files_unsettled_seconds", (), watcher.unsettled_seconds
        if self.audit is not None:
            yield "geostream_files_audit_dropped_total", (), self.audit.dropped

    async def _open(self) -> Folder:
        from .audit import Audit  # models and the watcher take a moment to import
        from .watcher import Watcher

        store = make_store()
        await asyncio.get_running_loop().run_in_executor(self._threads, store.open)
        feed = FolderFeed()
        try:
            replica = await self.runtime.hub.replica(feed)
        except BaseException:
            store.close()
            raise
        self.audit = Audit()
        loop = asyncio.get_running_loop()
        index = await FolderIndex(replica).build(lambda *call: loop.run_in_executor(self._threads, *call))
        folder = Folder(store, feed, index, self.runtime.hub, self._threads, self._changed)
        if conf.FILES_WATCH and not self._stopped:
            self.watcher = Watcher(folder, self.runtime.hub.node)
            self.watcher.start()
        return folder

    async def _open_if_there(self) -> None:
        if self._folder is None and not self._stopped and make_store().exists:
            await self.folder()

    async def _clear(self) -> None:
        """Empty the trash and the log of what is too old, and remove what dead processes have left."""
        folder = self._folder
        if folder is None:
            return
        await folder.run(folder.store.empty_trash, int((time.time() - conf.FILES_TRASH_SECONDS) * 1000))
        await folder.run(folder.store.staging.sweep, max(LEFT_OVER_SECONDS, conf.FILES_TUS_SECONDS))
        await folder.feed.cut(time.time(), conf.FILES_LOG_SECONDS)
        if self.audit is not None:
            await self.audit.forget_old()

    def _changed(self, change: FolderChange) -> None:
        self.changes[change.action, "others" if change.actor is OUTSIDE else "clients"] += 1
        if self.audit is not None:
            self.audit.note(change)


def make_store() -> Store:
    """The store that the settings name."""
    if conf.FILES_STORAGE:
        return StorageStore(storages[conf.FILES_STORAGE], data_dir() / "files-uploads")
    return DiskStore(files_root(), bool(conf.FILES_DURABLE))


def files_root() -> Path:
    """The folder on the disk."""
    return Path(conf.FILES_ROOT) if conf.FILES_ROOT else data_dir() / "files"
