"""Many small files in one request, up or down, as MessagePack. What is true of one of them says its own entry of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from ..bundle import NewFile, upload_bundle
from ..changes import ANYTHING, Precondition
from ..folder import Folder
from ..metadata import HASH, FileRecord
from ..paths import MAX_PATH_BYTES, clean_path
from ..service import FilesService
from ..store import not_found
from .application import refused
from .request import Answer, Request, too_large
from .uploads import modified_of

MEDIA_TYPE = "application/msgpack"
ENTRY_BYTES = 2 * MAX_PATH_BYTES
"""What an entry may have besides its content."""


class Entry(msgspec.Struct):
    """One file that is uploaded. Without content, a directory. `base`: only in the place of this version; None: where nothing is."""

    path: str
    content: bytes | None = None
    base: str | msgspec.UnsetType | None = msgspec.UNSET
    modified: str | None = None

    @property
    def condition(self) -> Precondition:
        """What must be there."""
        if self.base is msgspec.UNSET:
            return ANYTHING
        return Precondition(none_match=frozenset("*")) if self.base is None else Precondition(frozenset((self.base,)))


class Content(msgspec.Struct):
    """One file that is downloaded."""

    path: str
    hash: str
    content: bytes


class Refusal(msgspec.Struct, omit_defaults=True):
    """Why one was not taken or given, as the answer to a request about it alone would say."""

    path: str
    status: int
    error: dict[str, str]
    current: Any = None


_decode = msgspec.msgpack.Decoder(list[Entry]).decode


async def upload_many(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`POST /api/upload-many` with an array of entries: `{"files": [metadata or refusal, …]}` in the same order."""
    request.require_some("write")
    if request.media_type != MEDIA_TYPE:
        raise StreamError("unsupported_media_type", f"the Content-Type must be {MEDIA_TYPE}")
    most = conf.FILES_BUNDLE_BYTES + conf.FILES_BUNDLE * ENTRY_BYTES
    if (request.length or 0) > most:
        raise too_large(most)
    await folder.room.check("", request.length or 0, arriving=True)
    service.access.begin_upload(request.caller)
    try:
        body = b"".join([chunk async for chunk in request.chunks(most)])
        entries = await folder.run(_entries, body)
        results: dict[int, Any] = {}
        files: dict[int, NewFile] = {}
        for number, entry in enumerate(entries):
            try:
                files[number] = _new_file(request, entry)
            except StreamError as error:
                results[number] = _refusal(request, entry.path, error, service)
        done = await upload_bundle(folder, list(files.values()), request.actor)
    finally:
        service.access.end_upload(request.caller)
    for number, result in zip(files, done, strict=True):
        path = files[number].path
        results[number] = result.metadata(path) if isinstance(result, FileRecord) else _refusal(request, path, result, service)
    return Answer(json={"files": [results[number] for number in range(len(entries))]})


async def download_many(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`POST /api/download-many` with `{"paths": […]}`: an array in MessagePack of contents and refusals, in the same order."""
    request.require_some("read")
    body = await request.json(conf.FILES_BUNDLE * ENTRY_BYTES + 1024)
    paths = body.get("paths")
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise StreamError("bad_request", "paths must be an array of text")
    _check_count(len(paths))
    await folder.refresh()
    known: list[tuple[str, FileRecord | StreamError]] = []
    for path in paths:
        try:
            known.append((path, _readable(request, folder, path)))
        except StreamError as error:
            known.append((path, error))
    found = await folder.run(_read_all, folder, known)
    answers: list[Content | Refusal] = []
    for path, each in zip(paths, found, strict=True):
        answers.append(_refusal(request, path, each, service) if isinstance(each, StreamError) else each)
        service.counts["sent"] += 0 if isinstance(each, StreamError) else len(each.content)
    content = await folder.run(msgspec.msgpack.encode, answers)
    return Answer(body=content, headers={"Content-Type": MEDIA_TYPE, "Content-Security-Policy": "default-src 'none'; sandbox"})


def _entries(body: bytes) -> list[Entry]:
    """In a thread."""
    try:
        entries = _decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise StreamError("bad_request", "the body must be an array of files in MessagePack") from None
    _check_count(len(entries))
    if sum(len(entry.content or b"") for entry in entries) > conf.FILES_BUNDLE_BYTES:
        raise too_large(conf.FILES_BUNDLE_BYTES)
    return entries


def _check_count(count: int) -> None:
    if count > conf.FILES_BUNDLE:
        raise StreamError("bad_request", f"one request may name {conf.FILES_BUNDLE} files")


def _new_file(request: Request, entry: Entry) -> NewFile:
    path = clean_path(entry.path, conf.FILES_DEPTH)
    request.require("write", path)
    if len(entry.content or b"") > conf.FILES_MAX_BYTES:
        raise too_large(conf.FILES_MAX_BYTES)
    if isinstance(entry.base, str) and not HASH.fullmatch(entry.base):
        raise StreamError("bad_request", "base must be 64 lower-case hexadecimal digits, or null")
    return NewFile(path, entry.content, entry.condition, modified_of(entry.modified))


def _readable(request: Request, folder: Folder, path: str) -> FileRecord:
    clean = clean_path(path, conf.FILES_DEPTH)
    request.require("read", clean)
    record = folder.index.record(clean)
    if record is None and not folder.index.is_directory(clean):
        raise not_found(clean)
    if record is None or record.directory:
        raise StreamError("is_directory", f"{clean[:200]!r} is a directory")
    return record


def _read_all(folder: Folder, known: Sequence[tuple[str, FileRecord | StreamError]]) -> list[Content | StreamError]:
    """In a thread: as many as there is room for in the answer."""
    left, found = conf.FILES_BUNDLE_BYTES, []
    for path, record in known:
        each = record if isinstance(record, StreamError) else _read(folder, clean_path(path), record, left)
        left -= 0 if isinstance(each, StreamError) else len(each.content)
        found.append(each)
    return found


def _read(folder: Folder, path: str, record: FileRecord, most: int) -> Content | StreamError:
    if record.size > most:
        return too_large(most)
    try:
        file = folder.store.read(path)
    except StreamError as error:
        return error
    try:
        content = file.read_at(0, record.size) if folder.agrees(path, file.stat) else b""
    finally:
        file.close()
    if not folder.agrees(path, file.stat) or len(content) != record.size:
        return StreamError("busy", "the file is being changed; try again")
    return Content(path, record.hash, content)


def _refusal(request: Request, path: str, error: StreamError, service: FilesService) -> Refusal:
    answer = refused(error, service, shown=request.rights.allows("list", path))
    return Refusal(path, answer.status, answer.json["error"], answer.json.get("current"))
