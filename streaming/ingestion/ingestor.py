"""Has files become layers and tilesets: observes the folder, and runs ingests, a few at a time. One process does, as the leader.

A process that begins to lead compares the folder with what has become of the files, so what changed while nobody looked is found as well.
Changes of other files are announced from where the last leader stopped.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import perf_counter
from typing import Any, ParamSpec, TypeVar

from channels.db import database_sync_to_async
from django.db import DatabaseError

from streaming.core.errors import StreamError
from streaming.core.feed import Cursor
from streaming.core.follower import Replacement
from streaming.core.items import Change
from streaming.core.keys import COMMON
from streaming.core.leader import Leader
from streaming.core.redis import async_redis, refusing
from streaming.core.tasks import cancel
from streaming.core.worker import Worker
from streaming.engine.conf import conf, data_dir
from streaming.features.layers import feature_counts
from streaming.files.folder import Folder
from streaming.files.metadata import FileRecord, note_of, record_of
from streaming.files.operations import PathFilter
from streaming.models import FileIngest

from .datasets import Dataset, default_name, find_dataset
from .errors import Ignored, IngestError, Superseded
from .file_events import AGAIN, file_change, file_ingest
from .ingest_queue import IngestQueue, Waiting
from .job import STAGING, Job, Outcome
from .kinds import concerned_by, kind_of, wanted_patterns
from .ownership import release
from .records import IngestRecords
from .worker_process import WorkerProcesses

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

LEADER = COMMON + "files:ingestor"
"""The key with the node that ingests."""
ANNOUNCED = COMMON + "files:announced"
"""The key with the place in the log up to which changes became events."""
RETRY_SECONDS = 2.0
GATHER_SECONDS = 0.05
"""How long changes are gathered before it is looked what becomes of them: whoever follows the folder is told of each at once, and first."""
NOTE_SECONDS = 0.002
"""How long changes are looked at in one go, and …"""
REST_SECONDS = 0.006
"""… how long others have their turn before the next: after a burst there are thousands."""
AT_ONCE = 25
"""Changes looked at before others have a turn."""
LEFT_OVER_SECONDS = 3600.0


class Ingestor:
    """One process's part in ingesting."""

    def __init__(self, folder: Folder, node: str) -> None:
        self.records = IngestRecords()
        self.ended: Counter[tuple[str, str]] = Counter()
        """Ingests by what the file becomes and how they ended."""
        self.seconds = 0.0
        """How long they took together."""
        self._folder = folder
        self._replica = folder.index.replica
        self._workers = WorkerProcesses()
        self._threads = ThreadPoolExecutor(conf.INGEST_JOBS, thread_name_prefix="ingest")
        self._wanted = PathFilter(None, wanted_patterns())
        self._leader = Leader(LEADER, node, "ingests files", able=lambda: True, on_lead=self._lead, on_follow=lambda _: self._end())
        self._changes: deque[Change] = deque()
        self._noting = Worker(self._note_some, lambda: self._changes, "what becomes of files", GATHER_SECONDS)
        self._queue = IngestQueue(self._ingest, self._may_go_on)
        self._beginning: asyncio.Task[None] | None = None
        self._observing = self._stopped = False

    @property
    def leading(self) -> bool:
        """Whether this is the process that ingests."""
        return self._leader.leading

    @property
    def waiting(self) -> int:
        """Files that wait or are being ingested."""
        return len(self._queue)

    def start(self) -> None:
        """Ingest if no other process does."""
        self._leader.start()

    async def stop(self) -> None:
        """Let another process go on: it begins with what was not finished."""
        self._stopped = True
        self._end()
        self._workers.stop()
        await cancel([task for task in (self._beginning,) if task is not None])
        await self._queue.stop()
        await self._noting.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._leader.stop()
        with suppress(StreamError, DatabaseError):
            await self.records.stop()
        await self._leader.resign()

    # -- leading -----------------------------------------------------------------

    def _lead(self, began: bool) -> None:
        if began and not self._stopped:
            if self._beginning is not None:
                self._beginning.cancel()
            self._beginning = self._task(self._begin())
        elif self._observing:
            self._task(self.take_wishes())

    def _end(self) -> None:
        """Another process leads."""
        if self._observing:
            self._observing = False
            self._replica.unobserve(self)
        self._changes.clear()
        self._queue.clear()

    async def _begin(self) -> None:
        while not self._stopped:
            try:
                await self.records.flush()
                await self.records.load()
                await self._folder.refresh()
                seq = self._replica.seq
                if not self._observing:
                    self._observing = True
                    self._replica.observe(self)
                await self._announce_missed(seq)
                await self._compare()
                return
            except (StreamError, DatabaseError) as error:
                logger.warning("files are not ingested, for a moment: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _compare(self) -> None:
        """Have everything ingested that is not what it was last made of."""
        await self._run(_remove_left_overs)
        for number, path in enumerate(await self._run(self._different, list(self._replica.items))):
            self._enqueue(path)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)

    def _different(self, paths: Sequence[str]) -> list[str]:
        """In a thread: the files that have to be looked at."""
        there = [path for path in paths if kind_of(path) is not None and self._wanted.allows(path)]
        rows = dict(self.records.rows)
        counts = feature_counts([row.layer for row in rows.values() if row.made is not None and row.layer])
        found = []
        for path in there:
            row, dataset = rows.get(path), find_dataset(path, self._folder.index.record)
            if row is None or dataset is None or row.fingerprint != dataset.fingerprint or row.status in ("queued", "running"):
                found.append(path)
            elif row.status == "ready" and row.layer and counts.get(row.layer, row.features) != row.features:  # Redis was lost
                row.fingerprint = ""
                found.append(path)
        return [*found, *rows.keys() - set(there)]

    async def _announce_missed(self, seq: int) -> None:
        """What happened to other files since the last leader stopped, up to this number."""
        with refusing():
            stored: Any = await async_redis().get(ANNOUNCED)
        if stored is not None:
            since = Cursor.parse(stored.decode())
            changes = self._replica.changes_since(since) if await self._folder.reach(since) else None
            missed = [change for change in changes or () if change.seq <= seq and kind_of(change.key) is None]
            self._changes.extendleft(reversed(missed))
        self._noting.wake()
        await self._remember(Cursor(self._replica.epoch, seq))

    async def _remember(self, cursor: Cursor) -> None:
        with refusing():
            await async_redis().set(ANNOUNCED, str(cursor))

    async def take_wishes(self) -> None:
        """What somebody wants to be ingested again."""
        with suppress(StreamError), refusing():
            paths: Any = await async_redis().spop(AGAIN, AT_ONCE)
            for path in map(bytes.decode, paths or ()):
                row = self.records.rows.get(path)
                if row is not None:
                    row.fingerprint = ""
                    self._enqueue(path)

    # -- observing -----------------------------------------------------------------

    def changed(self, changes: Sequence[Change]) -> None:
        """Take what happened in one turn."""
        self._changes.extend(changes)
        self._noting.wake()

    def replaced(self, different: Sequence[Replacement] | None) -> None:
        """The state was read anew."""
        self._task(self._compare())

    async def _note_some(self) -> None:
        last, until = None, perf_counter() + NOTE_SECONDS
        while self._changes and perf_counter() < until:
            last = self._changes.popleft()
            self._note(last)
        if last is not None and last.seq:
            await self._remember(Cursor(self._replica.epoch, last.seq))
        if self._changes:
            await asyncio.sleep(REST_SECONDS)

    def _note(self, change: Change) -> None:
        old, new = (None if item is None else record_of(item) for item in (change.old, change.new))
        note, path = note_of(change.reason), change.key
        if (old is not None and new is not None and old.hash == new.hash) or (new or old or _NOTHING).directory:
            return
        action = "delete" if new is None else "move" if note.moved_from else "create" if old is None else "update"
        mains = [main for main in concerned_by(path, lambda each: self._replica.items.get(each) is not None) if self._wanted.allows(main)]
        for main in mains:
            if main == path:
                gone_to = note.moved_to if new is None else None
                self._enqueue(main, Waiting(None if gone_to else action, note.moved_from, change.seq, gone_to))
                if gone_to is not None and kind_of(gone_to) is not None:  # it takes over what was made, also if it is noted later
                    self._enqueue(gone_to)
            elif main in self.records.rows or main in self._replica.items:
                self._enqueue(main)
        if path not in mains and not (new is None and note.moved_to is not None):
            file_change(action, path, new or old, change.seq, note.moved_from)

    def _enqueue(self, path: str, happened: Waiting | None = None) -> None:
        dataset = self._dataset(path)
        row = self.records.get(path)
        if dataset is not None and row.fingerprint != dataset.fingerprint and not dataset.missing and not self._queue.is_running(path):
            row.kind = dataset.kind.becomes
            self._settle(row, "queued")
        self._queue.add(path, happened or Waiting())

    # -- ingesting -------------------------------------------------------------------

    async def _ingest(self, path: str, waiting: Waiting) -> None:
        try:
            await self._look(path, waiting)
        except Superseded:  # by what is announced soon, or because another process leads
            self.records.get(path).status = "queued"
        except (StreamError, DatabaseError) as error:
            logger.warning("%s is ingested a little later: %s", path, error)
            await asyncio.sleep(RETRY_SECONDS)
            if self._may_go_on():
                self._queue.add(path, waiting)
        except Exception:
            logger.exception("%s could not be ingested", path)
            self._settle(self.records.get(path), "failed", message="something went wrong in the server; it is in the log")

    async def _look(self, path: str, waiting: Waiting) -> None:
        dataset = self._dataset(path)
        known = self.records.rows.get(path)
        if dataset is None:
            # What is on the disk and not in the feed, because Redis was lost, is announced now, and keeps what it has made.
            if not self._wanted.allows(path) or await self._folder.find(path) is None:
                await self._remove(path, waiting)
            elif known is not None:
                known.fingerprint = ""  # what it has made may be lost as well
            return
        if known is not None and known.fingerprint == dataset.fingerprint and known.status not in ("queued", "running"):
            if waiting.action is not None:
                file_change(waiting.action, path, dataset.record, waiting.seq, waiting.moved_from, known)
            return
        row = self.records.get(path)
        row.kind = dataset.kind.becomes
        if dataset.missing:
            self._settle(row, "queued", message=f"waits for its {' and '.join(dataset.missing)}")
            if waiting.action is not None:
                file_change(waiting.action, path, dataset.record, waiting.seq, waiting.moved_from, row)
            return
        self._settle(row, "running", progress=0.0)
        began, loop = time.monotonic(), asyncio.get_running_loop()

        def tell(done: float) -> None:
            loop.call_soon_threadsafe(self._progress, row, done)

        job = Job(dataset, self._folder, self._workers, self._run, self._may_go_on, tell)
        try:
            outcome = await job.run()
        except (IngestError, Ignored) as error:
            row.fingerprint = dataset.fingerprint
            self._settle(
                row, "failed" if isinstance(error, IngestError) else "ignored", message=str(error).removeprefix(f"{dataset.staged}: ")
            )
        else:
            row.fingerprint = dataset.fingerprint
            self._take(row, outcome)
        self.seconds += time.monotonic() - began
        self.ended[row.kind, row.status] += 1
        file_change(waiting.action or ("create" if known is None else "update"), path, dataset.record, waiting.seq, waiting.moved_from, row)

    async def _remove(self, path: str, waiting: Waiting) -> None:
        row = self.records.rows.get(path)
        name = await database_sync_to_async(release)(path)
        self.records.forget(path)
        if row is not None and (waiting.action == "delete" or (waiting.action is None and waiting.after is None)):
            file_change("delete", path, None, waiting.seq, None, row)
        for other in list(self.records.rows.values()) if name is not None else ():
            if other.status == "failed" and name in (default_name(other.path), other.layer, other.tileset):  # perhaps the name was taken
                other.fingerprint = ""
                self._enqueue(other.path)

    def _take(self, row: FileIngest, outcome: Outcome) -> None:
        for other in self.records.rows.values():
            if (other.kind, other.made) == (row.kind, outcome.made) and other is not row:  # its file is gone, and this one goes on with it
                other.made = None
        row.made, row.features, row.crs = outcome.made, outcome.features, outcome.crs[:100]
        row.layer, row.tileset = (outcome.name, "") if row.kind == "layer" else ("", outcome.name)
        row.bbox = None if outcome.box is None else list(outcome.box)
        self._settle(row, "ready", message=outcome.message)

    def _settle(self, row: FileIngest, status: str, message: str = "", progress: float | None = None) -> None:
        row.status, row.message, row.progress = status, message[:500], progress
        self.records.save(row)
        file_ingest(row)

    def _progress(self, row: FileIngest, done: float) -> None:
        if row.status == "running":
            row.progress = round(done, 3)
            self.records.save(row)

    def _dataset(self, path: str) -> Dataset | None:
        return find_dataset(path, self._folder.index.record) if self._wanted.allows(path) else None

    def _may_go_on(self) -> bool:
        return self.leading and not self._stopped

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what may take long in a thread that nobody else waits for."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: function(*args, **kwargs))

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)
        return task


_tasks: set[asyncio.Future[None]] = set()
_NOTHING = FileRecord(0, "", 0)


def _remove_left_overs() -> None:
    """Copies that a process which died has left."""
    for folder in (data_dir() / "ingested").glob(f"{STAGING}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > LEFT_OVER_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
