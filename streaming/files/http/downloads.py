"""Downloads: bytes of a file, whole or a range, with the hash of the whole; never anything that a browser would run here."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator
from email.utils import formatdate

from django.utils.http import content_disposition_header

from streaming.core.errors import StreamError

from ..changes import Outdated
from ..folder import Folder
from ..metadata import FileRecord
from ..service import FilesService
from ..store import OpenFile, not_found
from .request import Answer, Request, etag

PIECE = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


async def download(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`GET` and `HEAD /api/download?path=`."""
    path = request.path_parameter()
    request.require("read", path)
    record = await _record(folder, path)
    headers = _headers(path, record)
    condition = request.condition
    if condition.match is not None and not condition.match & {"*", record.hash}:
        raise Outdated("precondition_failed", path, record)
    if condition.none_match is not None and condition.none_match & {"*", record.hash}:
        return Answer(304, headers=headers)
    start, end, status = _range(request, record)
    headers["Content-Length"] = str(end - start)
    if status == 206:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{record.size}"
    if request.method == "HEAD":
        return Answer(status, headers=headers, pieces=_nothing())
    file = await folder.run(folder.store.read, path)
    if not file.stat.is_of(record) and not folder.agrees(path, file.stat):
        await folder.run(file.close)
        raise StreamError("busy", "the file is being changed; try again")
    return Answer(status, headers=headers, pieces=_pieces(folder, service, file, start, end), close=file.close)


async def metadata(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`GET /api/metadata?path=`."""
    path = request.path_parameter()
    request.require("list", path)
    record = await folder.find(path)
    if record is None:
        await folder.refresh()
    found = folder.index.metadata(path) if record is None else record.metadata(path)
    if found is None:
        raise not_found(path)
    tag = {} if found.is_directory else {"ETag": etag(found.hash)}
    return Answer(json=found, headers=tag)


async def _record(folder: Folder, path: str) -> FileRecord:
    record = await folder.find(path)
    if record is None:
        await folder.refresh()
        if not folder.index.is_directory(path):
            raise not_found(path)
    if record is None or record.directory:
        raise StreamError("is_directory", f"{path[:200]!r} is a directory")
    return record


def _headers(path: str, record: FileRecord) -> dict[str, str]:
    return {
        "ETag": etag(record.hash),
        "Repr-Digest": f"sha-256=:{b64encode(bytes.fromhex(record.hash)).decode()}:",
        "Last-Modified": formatdate(record.modified / 1e9, usegmt=True),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Type": "application/octet-stream",
        "Content-Disposition": content_disposition_header(True, path.rpartition("/")[2]) or "attachment",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "same-site",
    }


def _range(request: Request, record: FileRecord) -> tuple[int, int, int]:
    """First byte, the one behind the last, and the status. Several ranges, and what is no range of bytes, are the whole file."""
    found = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if_range = request.headers.get("if-range")
    if found is None or found.groups() == ("", "") or (if_range is not None and if_range.strip() != etag(record.hash)):
        return 0, record.size, 200
    first, last = found.groups()
    if not first:
        start, end = max(record.size - int(last), 0), record.size
    else:
        start, end = int(first), min(int(last) + 1, record.size) if last else record.size
    if start >= record.size or end <= start:
        raise StreamError("invalid_range", f"the file has {record.size} bytes")
    return start, end, 206


async def _pieces(folder: Folder, service: FilesService, file: OpenFile, start: int, end: int) -> AsyncIterator[bytes]:
    """The bytes. A file that became shorter meanwhile ends early, which the length shows."""
    while start < end:
        piece = await folder.run(file.read_at, start, min(PIECE, end - start))
        if not piece:
            raise OSError("the file became shorter while it was sent")
        start += len(piece)
        service.counts["sent"] += len(piece)
        yield piece


async def _nothing() -> AsyncIterator[bytes]:
    for _ in ():
        yield b""
