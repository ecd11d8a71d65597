"""Uploads: a body is hashed and written while it arrives, and becomes a file only when it is complete and as announced."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import AsyncIterator

from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from ..folder import Folder
from ..metadata import HASH, parse_time
from ..paths import clean_path
from ..service import FilesService
from ..staging import BLOCK, StagedFile
from .multipart import FormFile
from .request import Answer, Request, etag, too_large

_SHA256 = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):\s*(?:;[^,]*)?(?=,|$)", re.IGNORECASE)
FORM = "multipart/form-data"
FORM_BYTES = 64 * 1024
"""What a form may have besides the file."""


async def upload(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`PUT /api/upload?path=` with the bytes as body, or `POST` with those or with a form."""
    form = request.method == "POST" and request.media_type == FORM
    if not form or request.parameters.get("path"):
        request.require("write", request.path_parameter())
    else:
        request.require_some("write")  # the path comes with the form
    most = conf.FILES_MAX_BYTES + (FORM_BYTES if form else 0)
    if (request.length or 0) > most:
        raise too_large(conf.FILES_MAX_BYTES)
    expected, modified = expected_hash(request), modified_of(request.headers.get("x-mtime"))
    await _check_early(request, folder)
    await folder.room.check(request.parameters.get("path", ""), request.length or 0, arriving=True)
    service.access.begin_upload(request.caller)
    try:
        chunks = request.chunks(most)
        parts = FormFile(request.headers.get("content-type", ""), chunks) if form else None
        staged = await receive(folder, chunks if parts is None else parts.content(), modified)
        try:
            if parts is not None:
                await parts.finish()
            path = request.parameters.get("path") or (parts.path if parts else "")
            path = clean_path(path, conf.FILES_DEPTH)
            request.require("write", path)
            if staged.size > conf.FILES_MAX_BYTES:
                raise too_large(conf.FILES_MAX_BYTES)
            check_hash(staged, expected)
        except BaseException:
            await folder.run(staged.discard)
            raise
        record, outcome = await folder.upload(path, staged, request.actor, request.condition)
    finally:
        service.access.end_upload(request.caller)
    return Answer(201 if outcome == "created" else 200, record.metadata(path), headers={"ETag": etag(record.hash)})


async def receive(folder: Folder, chunks: AsyncIterator[bytes], modified: int | None) -> StagedFile:
    """Write what arrives, a block at a time, and seal it; what is small in one go."""
    staged: StagedFile | None = None
    block = bytearray()
    try:
        async for chunk in chunks:
            block += chunk
            if len(block) >= BLOCK:
                await folder.room.check("", 0, arriving=True)  # its length may have been unknown, or a lie
                staged = await folder.run(_write, folder, staged, bytes(block))
                block.clear()
        return await folder.run(_finish, folder, staged, bytes(block), modified)
    except BaseException:
        if staged is not None:
            await folder.run(staged.discard)
        raise


def expected_hash(request: Request) -> str | None:
    """The hash that the body is to have. `StreamError("bad_request")`."""
    digest, hash = request.headers.get("repr-digest"), request.headers.get("x-content-sha256")
    if digest is not None:
        found = _SHA256.search(digest)
        if found is not None:
            try:
                hash = b64decode(found[1], validate=True).hex()
            except Base64Error:
                hash = ""
    if hash is not None and not HASH.fullmatch(hash.lower()):
        raise StreamError("bad_request", "Repr-Digest must be sha-256=:…: in base64, X-Content-SHA256 64 hexadecimal digits")
    return None if hash is None else hash.lower()


def check_hash(staged: StagedFile, expected: str | None) -> None:
    """`StreamError("hash_mismatch")`."""
    if expected is not None and staged.hash != expected:
        raise StreamError("hash_mismatch", "the body does not have the hash that was given with it; nothing was stored")


def modified_of(text: str | None) -> int | None:
    """The time that a file is to have. `StreamError("bad_request")`."""
    modified = parse_time(text)
    if text is not None and (modified is None or not 0 <= modified < 2**62):
        raise StreamError("bad_request", "the time must be as of RFC 3339, such as 2024-01-15T10:30:00Z")
    return modified


async def _check_early(request: Request, folder: Folder) -> None:
    """Refuse before the body is read what would be refused after it. It is checked again then."""
    condition = request.condition
    if (condition.match is not None or condition.none_match is not None) and request.parameters.get("path"):
        path = request.path_parameter()
        condition.check(path, await folder.find(path))


def _write(folder: Folder, staged: StagedFile | None, data: bytes) -> StagedFile:
    staged = staged or folder.store.staging.create()
    try:
        staged.write(data)
    except BaseException:
        staged.discard()
        raise
    return staged


def _finish(folder: Folder, staged: StagedFile | None, data: bytes, modified: int | None) -> StagedFile:
    staged = _write(folder, staged, data)
    try:
        folder.seal(staged, modified)
    except BaseException:
        staged.discard()
        raise
    return staged
