"""Stores and finds the values that are too large for a message, and throws away those that no job uses."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.core.files.base import File
from django.db.models import Q, Sum
from django.utils import timezone

from processes.jobs.service import Jobs
from processes.models import Blob
from streaming.engine.conf import conf
from streaming.engine.service import Service

from .tokens import TokenRights

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

SWEEP_SECONDS = 60.0
AT_ONCE = 100


class WorkerBlobs(Service):
    """The sweep of unused blobs."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._jobs = runtime.service(Jobs)

    async def start(self) -> None:
        """Look for them again and again."""
        self._jobs.every(SWEEP_SECONDS, self.sweep)

    async def sweep(self) -> None:
        """Delete those that were uploaded long ago, and that no job uses."""
        await self._jobs.change(partial(delete_unused, conf.PROCESS_UNUSED_BLOB_SECONDS))


def delete_unused(seconds: float) -> None:
    """An operation. The files go with the rows."""
    before = timezone.now() - timedelta(seconds=seconds)
    for blob in Blob.objects.filter(job=None, created__lt=before)[:AT_ONCE]:
        blob.delete()


def unused_bytes(token: int) -> int:
    """What the workers of a token have stored that no job uses: a query."""
    return int(Blob.objects.filter(token=token, job=None).aggregate(all=Sum("size"))["all"] or 0)


def find_blob(blob: uuid.UUID, token: TokenRights) -> Blob | None:
    """A blob that workers with a token may read: their own, and those of the jobs that they were given."""
    mine = Q(token=token.pk) | Q(job__worker__token=token.pk)
    return Blob.objects.filter(mine, pk=blob).first()


def save_blob(pk: uuid.UUID, file: File[Any], size: int, sha256: str, media_type: str, token: int | None = None) -> bool:
    """Store a file, in a thread that may wait. Returns False if there is another blob of that id already."""
    stored = Blob.objects.filter(pk=pk).first()
    if stored is not None:
        return stored.sha256 == sha256 and stored.token_id == token
    row = Blob(pk=pk, size=size, sha256=sha256, media_type=media_type[:200], token_id=token)
    row.file.save(str(pk), file, save=False)
    row.save(force_insert=True)
    return True
