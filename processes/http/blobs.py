"""Bytes of inputs and outputs in Django's storage."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

from django.core.files.base import ContentFile

from processes.models import Blob

CHUNK = 256 * 1024


async def store(data: bytes, media_type: str) -> Blob:
    """Write bytes to the storage; the row is not saved."""
    return await asyncio.to_thread(_store, data, media_type)


def _store(data: bytes, media_type: str) -> Blob:
    blob = Blob(id=uuid.uuid4(), size=len(data), sha256=sha256(data).hexdigest(), media_type=media_type[:200])
    blob.file.save(str(blob.id), ContentFile(data), save=False)
    return blob


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
