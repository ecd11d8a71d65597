"""What has become of the files, in the memory of the process that ingests, and in the database: written behind."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from copy import copy

from channels.db import database_sync_to_async
from django.db import transaction
from django.utils import timezone

from streaming.core.worker import Worker
from streaming.models import FileIngest

GATHER_SECONDS = 0.3
BATCH = 200
_FIELDS = [field.name for field in FileIngest._meta.concrete_fields if field.name not in ("path", "made")]
"""What is written behind: not which layer or tileset it is, for that is said in the transaction that makes it (ownership.py)."""


class IngestRecords:
    """The rows by path."""

    def __init__(self) -> None:
        self.rows: dict[str, FileIngest] = {}
        self._unwritten: dict[str, None] = {}
        self._waking: asyncio.TimerHandle | None = None
        self._worker = Worker(self._step, lambda: self._unwritten, "what has become of files")

    async def load(self) -> None:
        """Read what earlier processes have written."""
        self.rows = await database_sync_to_async(_read)()

    def get(self, path: str) -> FileIngest:
        """The row of a path; a new one if there is none."""
        return self.rows.get(path) or FileIngest(path=path, status="queued", updated=timezone.now())

    def save(self, row: FileIngest) -> None:
        """Keep a row that is new or has changed."""
        row.updated = timezone.now()
        self.rows[row.path] = row
        self._unwritten[row.path] = None
        if self._waking is None:
            self._waking = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._wake)

    def forget(self, path: str) -> None:
        """The row is gone from the database already."""
        self.rows.pop(path, None)
        self._unwritten.pop(path, None)

    async def flush(self) -> None:
        """Write what waits now."""
        while self._unwritten:
            await self._step()

    async def stop(self) -> None:
        """Write what waits, and no more."""
        if self._waking is not None:
            self._waking.cancel()
        await self._worker.stop()
        await self.flush()

    def _wake(self) -> None:
        self._waking = None
        self._worker.wake()

    async def _step(self) -> None:
        some = list(self._unwritten)[:BATCH]
        rows = [_with_nothing_made(self.rows[path]) for path in some if path in self.rows]
        for path in some:
            del self._unwritten[path]
        try:
            await database_sync_to_async(_write)(rows)
        except BaseException:
            self._unwritten = {**dict.fromkeys(some), **self._unwritten}
            raise


def _with_nothing_made(row: FileIngest) -> FileIngest:
    """A copy that owns nothing, if it is the first of its path in the database, or was removed from there meanwhile."""
    row = copy(row)
    row.made = None
    return row


def _read() -> dict[str, FileIngest]:
    return {row.path: row for row in FileIngest.objects.all()}


@transaction.atomic
def _write(rows: Collection[FileIngest]) -> None:
    FileIngest.objects.bulk_create(rows, update_conflicts=True, unique_fields=["path"], update_fields=_FIELDS)
