"""Bytes of inputs and outputs in Django's storage."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from typing import Any

from django.core.files.base import ContentFile

from processes.models import Blob

CHUNK = 256 * 1024


async def store(data: bytes, media_type: str) -> Blob:
    """Write bytes to the storage; the row is not saved."""
    storing = asyncio.ensure_future(asyncio.to_thread(_store, data, media_type))
    try:
        return await asyncio.shield(storing)
    except asyncio.CancelledError:  # the client has left; the thread goes on
        storing.add_done_callback(_throw_away)
        raise


def _store(data: bytes, media_type: str) -> Blob:
    blob = Blob(id=uuid.uuid4(), size=len(data), sha256=sha256(data).hexdigest(), media_type=media_type[:200])
    blob.file.save(str(blob.id), ContentFile(data), save=False)
    return blob


def discard(blobs: Sequence[Blob]) -> None:
    """An operation: delete those that no job has, whether their rows were saved or not."""
    saved = {blob.pk: blob for blob in Blob.objects.filter(pk__in=[blob.pk for blob in blobs])}
    for blob in blobs:
        if blob.pk not in saved:
            blob.file.storage.delete(str(blob.file.name))
        elif saved[blob.pk].job_id is None:
            saved[blob.pk].delete()


def _throw_away(storing: asyncio.Future[Blob]) -> None:
    if not storing.cancelled() and storing.exception() is None:
        file = storing.result().file
        storing.get_loop().run_in_executor(None, file.storage.delete, str(file.name))


async def chunks(blob: Blob) -> AsyncIterator[bytes]:
    """Its bytes, piece by piece."""
    file: Any = await asyncio.to_thread(blob.file.storage.open, str(blob.file.name), "rb")
    try:
        while piece := await asyncio.to_thread(file.read, CHUNK):
            yield piece
    finally:
        await asyncio.to_thread(file.close)


async def content(blob: Blob) -> bytes:
    """All of its bytes, for a blob that is small enough."""
    return b"".join([piece async for piece in chunks(blob)])
