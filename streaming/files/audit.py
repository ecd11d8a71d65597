"""The audit: who changed what, what is in the trash, and which clients there are, written to the database behind.

No change waits for the database. What it does not take for too long is dropped, the oldest first, and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from channels.db import database_sync_to_async
from django.db import transaction
from django.utils import timezone

from streaming.core.worker import Worker
from streaming.engine.conf import conf
from streaming.models import FileChange, SyncClient, TrashedFile

from .changes import FolderChange

MOST_WAITING = 20_000
GATHER_SECONDS = 0.5
"""How long rows are gathered, so that many are written at once."""
BATCH = 500


class _Restored(NamedTuple):
    """Something that is in the trash no more."""

    id: str


class Audit:
    """What one process has to write."""

    def __init__(self) -> None:
        self.dropped = 0
        self._rows: deque[Any] = deque()
        self._waking: asyncio.TimerHandle | None = None
        self._writing = asyncio.Lock()
        self._worker = Worker(self._step, self._waiting, "the audit of files")

    def note(self, change: FolderChange) -> None:
        """Write down a change."""
        now, before, after, actor = timezone.now(), change.before, change.after, change.actor
        size = after.size if after else before.size if before else 0
        row = FileChange(at=now, action=change.action, path=change.path, target=change.target, size=size)
        row.hash_before, row.hash_after = before.hash if before else "", after.hash if after else ""
        row.user, row.client, row.address, row.trash = actor.user[:150], (actor.client or "")[:128], actor.address[:64], change.trash
        self._add(row)
        if change.trash:
            size, hash = (before.size, before.hash) if before else (0, "")
            replaced = after is not None
            path = change.target or change.path
            self._add(TrashedFile(id=change.trash, at=now, path=path, size=size, hash=hash, user=row.user, replaced=replaced))
        if change.restored:
            self._add(_Restored(change.restored))

    def note_client(self, id: str, user: str, address: str, since: datetime, seq: int, connected: bool) -> None:
        """Write down what is known of a client now."""
        now = timezone.now()
        self._add(SyncClient(id=id, user=user[:150], address=address[:64], since=since, seen=now, seq=seq, connected=connected))

    async def flush(self) -> None:
        """Write what waits now, and wait for what is being written."""
        while self._rows or self._writing.locked():
            await asyncio.shield(self._step())

    async def stop(self) -> None:
        """Write no more."""
        if self._waking is not None:
            self._waking.cancel()
        await self._worker.stop()

    @staticmethod
    async def forget_old() -> None:
        """Remove what is too old to be kept."""
        await database_sync_to_async(_forget_old)()

    def _add(self, row: Any) -> None:
        if len(self._rows) >= MOST_WAITING:
            self._rows.popleft()
            self.dropped += 1
        self._rows.append(row)
        if self._waking is None:
            self._waking = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._wake)

    def _wake(self) -> None:
        self._waking = None
        self._worker.wake()

    def _waiting(self) -> Collection[object]:
        return self._rows

    async def _step(self) -> None:
        async with self._writing:
            some = [self._rows.popleft() for _ in range(min(BATCH, len(self._rows)))]
            try:
                if some:
                    await database_sync_to_async(_write)(some)
            except BaseException:
                self._rows.extendleft(reversed(some))
                raise


@transaction.atomic
def _write(rows: Sequence[Any]) -> None:
    FileChange.objects.bulk_create(row for row in rows if isinstance(row, FileChange))
    TrashedFile.objects.bulk_create((row for row in rows if isinstance(row, TrashedFile)), ignore_conflicts=True)
    TrashedFile.objects.filter(id__in=[row.id for row in rows if isinstance(row, _Restored)]).delete()
    clients = {row.pk: row for row in rows if isinstance(row, SyncClient)}
    SyncClient.objects.bulk_create(
        clients.values(),
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["user", "address", "since", "seen", "seq", "connected"],
    )


def _forget_old() -> None:
    now = timezone.now()
    FileChange.objects.filter(at__lt=now - timedelta(seconds=conf.FILES_AUDIT_SECONDS)).delete()
    TrashedFile.objects.filter(at__lt=now - timedelta(seconds=conf.FILES_TRASH_SECONDS)).delete()
    SyncClient.objects.filter(seen__lt=now - timedelta(seconds=conf.FILES_AUDIT_SECONDS)).delete()
