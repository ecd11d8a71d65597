"""Resumable uploads as of tus 1.0.0, at `/api/tus/`.

What has arrived is in the staging folder, with a note of what it is to become; any process can go on with it. It becomes a file with its
last byte, if its content is what the note says.
"""

from __future__ import annotations

import re
import secrets
import time
from base64 import b64decode
from binascii import Error as Base64Error
from email.utils import formatdate
from hashlib import new as new_hash

from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from ..folder import Folder
from ..metadata import HASH
from ..paths import clean_path
from ..service import FilesService
from ..staging import BLOCK
from .application import refused
from .request import Answer, Request, too_large
from .unfinished_uploads import UploadNote, begin, claim, forget, load, lock_name, offset_of, release, reload, save, staged_name
from .uploads import check_hash, modified_of

VERSION = "1.0.0"
OFFSET_TYPE = "application/offset+octet-stream"
ALGORITHMS = ("sha1", "sha256")
CAPABILITIES = {
    "Tus-Resumable": VERSION,
    "Tus-Version": VERSION,
    "Tus-Extension": "creation,creation-with-upload,expiration,checksum,termination",
    "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
}
CHECKSUM_MISMATCH = 460
_ID = re.compile(r"[0-9a-f]{32}")


class ChecksumError(StreamError):
    """A part that does not have the checksum that was given with it."""


async def capabilities(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`OPTIONS`: what this server can do."""
    return Answer(204, headers={**CAPABILITIES, "Tus-Max-Size": str(conf.FILES_MAX_BYTES)})


async def create(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`POST /api/tus/`: an upload of so many bytes, perhaps with the first of them."""
    if (wrong := _wrong_version(request)) is not None:
        return wrong
    note = _note(request)
    request.require("write", note.path)
    note.condition.check(note.path, await folder.find(note.path))
    await folder.room.check(note.path, note.length, arriving=True)
    id = secrets.token_hex(16)
    await claim(id, note)
    try:
        await folder.run(begin, folder, id, note)
    except BaseException:
        await folder.run(forget, folder, id)
        await release(id, note)
        raise
    headers = {"Location": f"{request.path.rstrip('/')}/{id}"}
    if request.media_type == OFFSET_TYPE or not note.length:
        answer = await _append(request, folder, service, id, note)
        if answer.status != 204:
            return answer
        headers |= answer.headers
    return Answer(201, headers={**_headers(note), **headers})


async def head(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`HEAD /api/tus/{id}`: how much of it has arrived."""
    if (wrong := _wrong_version(request)) is not None:
        return wrong
    id, note = await _find(request, folder)
    async with folder.locks.hold(lock_name(id)):
        note = await folder.run(reload, folder, id, note)  # somebody may just have added to it
        offset = await folder.run(offset_of, folder, id, note)
    return Answer(200, headers={**_headers(note), "Upload-Offset": str(offset), "Upload-Length": str(note.length)})


async def patch(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`PATCH /api/tus/{id}`: more of it."""
    if (wrong := _wrong_version(request)) is not None:
        return wrong
    id, note = await _find(request, folder)
    if request.media_type != OFFSET_TYPE:
        raise StreamError("unsupported_media_type", f"the Content-Type must be {OFFSET_TYPE}")
    return await _append(request, folder, service, id, note)


async def terminate(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`DELETE /api/tus/{id}`: it will never be complete."""
    if (wrong := _wrong_version(request)) is not None:
        return wrong
    id, note = await _find(request, folder)
    async with folder.locks.hold(lock_name(id)):
        await folder.run(forget, folder, id)
    await release(id, note)
    return Answer(204)


async def _append(request: Request, folder: Folder, service: FilesService, id: str, note: UploadNote) -> Answer:
    """Take what arrives. What a connection that broke has brought stays, unless it was to be compared with a checksum."""
    checksum = _checksum(request)
    service.access.begin_upload(request.caller)
    try:
        async with folder.locks.hold(lock_name(id)):
            note = await folder.run(reload, folder, id, note)
            offset = await folder.run(offset_of, folder, id, note)
            await folder.room.check(note.path, note.length - offset, arriving=True)
            if request.method == "PATCH" and request.headers.get("upload-offset") != str(offset):
                raise StreamError("exists", f"the upload has {offset} bytes")
            if (request.length or 0) > note.length - offset:
                raise too_large(note.length - offset)
            if checksum is not None:
                note.checked = offset
                await folder.run(save, folder, id, note)
            await _receive(request, folder, id, note, offset, checksum)
            offset = await folder.run(offset_of, folder, id, note)
            if offset == note.length:
                await _complete(request, folder, id, note)
    except ChecksumError as error:
        return refused(error, service, CHECKSUM_MISMATCH)
    finally:
        service.access.end_upload(request.caller)
    return Answer(204, headers={**_headers(note), "Upload-Offset": str(offset)})


async def _receive(request: Request, folder: Folder, id: str, note: UploadNote, offset: int, checksum: tuple[str, bytes] | None) -> None:
    digest = None if checksum is None else new_hash(checksum[0], usedforsecurity=False)
    staged = await folder.run(folder.store.staging.resume, staged_name(id))
    # What a part with a checksum has brought stays only if it is right; of others what has arrived, but for parts that are too long.
    keep, block = digest is None, bytearray()
    try:
        async for chunk in request.chunks(note.length - offset):
            if digest is not None:
                digest.update(chunk)
            block += chunk
            if len(block) >= BLOCK:
                await folder.run(staged.write, bytes(block))
                block.clear()
        if digest is not None and checksum is not None and digest.digest() != checksum[1]:
            raise ChecksumError("hash_mismatch", "this part does not have the checksum that was given with it; it was not taken")
        keep = True
    except StreamError as error:
        keep = keep and error.code != "too_large"
        raise
    finally:
        if not keep:
            await folder.run(folder.store.staging.truncate, staged_name(id), offset)
        elif block:
            await folder.run(staged.write, bytes(block))
        await folder.run(staged.close)
        if note.checked is not None:
            note.checked = None
            await folder.run(save, folder, id, note)


async def _complete(request: Request, folder: Folder, id: str, note: UploadNote) -> None:
    """It becomes a file, or is forgotten if it is not what it was to be."""
    staged = await folder.run(folder.store.staging.resume, staged_name(id))
    try:
        await folder.run(staged.rehash)
        check_hash(staged, note.hash)
        await folder.upload(note.path, staged, request.actor, note.condition, note.modified)
    finally:
        await folder.run(staged.close)
        await folder.run(forget, folder, id)
        await release(id, note)


def _wrong_version(request: Request) -> Answer | None:
    if request.headers.get("tus-resumable") == VERSION:
        return None
    return Answer(
        412, {"error": {"code": "unsupported_version", "message": f"Tus-Resumable must be {VERSION}"}}, headers={"Tus-Version": VERSION}
    )


def _note(request: Request) -> UploadNote:
    """What is to be uploaded. `StreamError`."""
    text = request.headers.get("upload-length", "")
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise StreamError("bad_request", "Upload-Length must say how many bytes there will be")
    if int(text) > conf.FILES_MAX_BYTES:
        raise too_large(conf.FILES_MAX_BYTES)
    metadata = _metadata(request.headers.get("upload-metadata", ""))
    path = clean_path(metadata.get("path", metadata.get("filename", "")), conf.FILES_DEPTH)
    hash = metadata.get("sha256")
    if hash is not None and not HASH.fullmatch(hash):
        raise StreamError("bad_request", "sha256 must be 64 lower-case hexadecimal digits")
    condition = request.condition
    match, none_match = (None if each is None else sorted(each) for each in condition)
    modified = modified_of(metadata.get("modified"))
    return UploadNote(path, int(text), request.user_id, time.time(), hash, modified, match, none_match, caller=request.caller)


def _metadata(header: str) -> dict[str, str]:
    found = {}
    for pair in filter(None, (pair.strip() for pair in header.split(","))):
        name, _, value = pair.partition(" ")
        try:
            found[name] = b64decode(value, validate=True).decode(errors="surrogateescape")
        except Base64Error:
            raise StreamError("bad_request", "Upload-Metadata must be names with values in base64") from None
    return found


def _checksum(request: Request) -> tuple[str, bytes] | None:
    header = request.headers.get("upload-checksum")
    if header is None:
        return None
    algorithm, _, value = header.partition(" ")
    if algorithm not in ALGORITHMS:
        raise StreamError("bad_request", f"checksums are {' and '.join(ALGORITHMS)}")
    try:
        return algorithm, b64decode(value, validate=True)
    except Base64Error:
        raise StreamError("bad_request", "Upload-Checksum must be an algorithm and a value in base64") from None


async def _find(request: Request, folder: Folder) -> tuple[str, UploadNote]:
    """An unfinished upload of the same user, who may still write there. `StreamError("not_found")`."""
    id = request.parameters.get("upload", "")
    note = await folder.run(load, folder, id) if _ID.fullmatch(id) else None
    if note is None or note.user != request.user_id or note.expires < time.time() or not request.rights.allows("write", note.path):
        raise StreamError("not_found", "there is no such upload, or it is complete")
    return id, note


def _headers(note: UploadNote) -> dict[str, str]:
    return {"Cache-Control": "no-store", "Upload-Expires": formatdate(note.expires, usegmt=True)}
