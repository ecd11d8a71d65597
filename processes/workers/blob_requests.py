"""`PUT` and `GET` of blobs by workers: an ASGI application of its own, for neither a body nor an answer is ever in memory as a whole."""

from __future__ import annotations

import asyncio
import logging
import uuid
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec
from channels.db import database_sync_to_async
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db import DatabaseError

from processes.jobs.service import Jobs
from processes.models import Blob
from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.engine.lifespan import get_runtime

from .blobs import find_blob, save_blob, unused_bytes
from .tokens import TokenRights, bearer, find_token

logger = logging.getLogger(__name__)

CHUNK = 256 * 1024
RECEIVE_SECONDS = 60.0
"""How long the next piece of a body may take."""

_in_thread = partial(database_sync_to_async, thread_sensitive=False)


class _Refusal(Exception):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


async def answer_blob_request(scope: dict[str, Any], receive: Any, send: Any, blob: uuid.UUID) -> None:
    """Answer one request."""
    try:
        runtime = await get_runtime()
        jobs = runtime.service(Jobs)
        token = await _token(jobs, scope)
        if scope["method"] == "PUT":
            status, answer = await _put(jobs, blob, token, scope, receive)
            await _respond(send, status, answer)
        elif scope["method"] in ("GET", "HEAD"):
            await _get(jobs, blob, token, scope["method"] == "GET", send)
        else:
            await _respond(send, 405, _problem(405, "a blob takes PUT and GET"), [(b"allow", b"GET, HEAD, PUT")])
    except _Refusal as refusal:
        more = [(b"www-authenticate", b"Bearer")] if refusal.status == 401 else []
        await _respond(send, refusal.status, _problem(refusal.status, str(refusal)), [*more, (b"connection", b"close")])
    except StreamError as error:
        await _respond(send, error.kind.status, _problem(error.kind.status, error.message), [(b"connection", b"close")])
    except (DatabaseError, OSError) as error:
        logger.exception("the blob %s could not be stored or read", blob)
        await _respond(send, 503, _problem(503, f"try again: {type(error).__name__}"), [(b"connection", b"close"), (b"retry-after", b"1")])


async def _token(jobs: Jobs, scope: dict[str, Any]) -> TokenRights:
    text = bearer(scope["headers"])
    token = await jobs.read(lambda: find_token(text)) if text else None
    if token is None:
        raise _Refusal(401, "this needs the token of a worker")
    return token


async def _put(jobs: Jobs, blob: uuid.UUID, token: TokenRights, scope: dict[str, Any], receive: Any) -> tuple[int, dict[str, Any]]:
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length[:18]) > conf.PROCESS_BLOB_BYTES:
        raise _Refusal(413, f"a blob may have {conf.PROCESS_BLOB_BYTES} bytes")
    room = conf.PROCESS_UNUSED_BLOB_BYTES - await jobs.read(partial(unused_bytes, token.pk))
    if room <= 0:
        raise _Refusal(429, "the workers of this token have too much stored that no job uses; what is left over is deleted after a while")
    with TemporaryUploadedFile(str(blob), "", 0, None) as file:
        size, digest = await _store(file, receive, min(room, conf.PROCESS_BLOB_BYTES))
        expected = headers.get(b"content-sha256", b"").decode("latin-1").lower()
        if expected and expected != digest:
            raise _Refusal(422, "the body is not what Content-SHA256 says")
        media_type = headers.get(b"content-type", b"").decode("latin-1")
        if not await _in_thread(save_blob)(blob, file, size, digest, media_type, token.pk):
            raise _Refusal(409, "there is another blob of this id")
    return 201, {"id": str(blob), "size": size, "sha256": digest}


async def _store(file: Any, receive: Any, most: int) -> tuple[int, str]:
    size, digest, waiting = 0, sha256(), bytearray()
    more = True
    while more:
        async with asyncio.timeout(RECEIVE_SECONDS):
            message = await receive()
        if message["type"] == "http.disconnect":
            raise _Refusal(400, "the client left before the end of the body")
        waiting += message.get("body", b"")
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
        if size > most:
            raise _Refusal(413, f"a blob may have {most} bytes")
        if len(waiting) >= CHUNK or not more:
            piece, waiting = bytes(waiting), bytearray()
            await asyncio.to_thread(_write, file, digest, piece)
    await asyncio.to_thread(file.seek, 0)
    file.size = size
    return size, digest.hexdigest()


def _write(file: Any, digest: Any, piece: bytes) -> None:
    digest.update(piece)
    file.write(piece)
    file.flush()


async def _get(jobs: Jobs, blob: uuid.UUID, token: TokenRights, body: bool, send: Any) -> None:
    row: Blob | None = await jobs.read(partial(find_blob, blob, token))
    if row is None:
        raise _Refusal(404, "there is no blob of this id for workers with this token")
    file = await asyncio.to_thread(row.file.open)
    headers = [
        (b"content-type", (row.media_type or "application/octet-stream").encode("latin-1", "replace")),
        (b"content-length", str(row.size).encode()),
        (b"etag", f'"{row.sha256}"'.encode()),
    ]
    try:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while body and (piece := await asyncio.to_thread(file.read, CHUNK)):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await asyncio.to_thread(file.close)


def _problem(status: int, detail: str) -> dict[str, Any]:
    return {"type": "about:blank", "status": status, "detail": detail}


async def _respond(send: Any, status: int, answer: dict[str, Any], more: list[tuple[bytes, bytes]] | None = None) -> None:
    body = msgspec.json.encode(answer)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *(more or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
