"""Lists of the folder, and what has changed in it, for those who have no WebSocket."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from itertools import islice

import msgspec

from streaming.core.errors import StreamError
from streaming.core.feed import Cursor
from streaming.core.follower import Replacement
from streaming.core.items import Change
from streaming.core.replica import Replica
from streaming.core.selection import Steps
from streaming.engine.conf import conf

from ..folder import Folder
from ..metadata import FileMetadata
from ..operations import PathFilter, operation_message
from ..paths import is_below
from ..service import FilesService
from ..store import not_found
from .request import Answer, Request

SLICE = 400
"""Entries written before others have a turn."""
FEW = 10
"""So few entries are not compressed."""
MOST_CHANGES = 1000
"""Of one answer."""
MOST_WAIT = 60


async def list_files(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`GET /api/list[?path=&recursive=&limit=&cursor=]`: an array or, with a limit, a page."""
    request.require_some("list")
    top = request.path_parameter() if request.parameters.get("path") else ""
    recursive, limit = request.flag("recursive", True), request.number("limit", None, conf.FILES_LIST)
    await folder.refresh()
    index = folder.index
    tops = request.rights.tops("list")
    hidden = tops is not None and not any(is_below(top, each) or is_below(each, top) for each in tops)
    if top and (hidden or not index.is_directory(top)):
        raise not_found(top)
    cursor = index.replica.cursor
    seen = "" if tops is None else f".{zlib.crc32(repr(tops).encode()):08x}"  # what somebody may list may change as well
    headers = {
        "ETag": f'"{cursor.epoch}.{cursor.seq}{seen}"',
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Cookie, Accept-Encoding",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Answer(304, headers=headers)
    if limit is not None:
        limit = max(limit, 1)
        page = await _page(request, folder, top, recursive, limit + 1)
        more = page[limit - 1].path if len(page) > limit else None
        del page[limit:]
        return Answer(json={"files": page, "cursor": more, "seq": cursor.seq, "epoch": cursor.epoch}, headers=headers)
    headers["Content-Type"] = "application/json"
    pieces = _array(request, folder, top, recursive)
    if "gzip" in request.headers.get("accept-encoding", "") and index.files > FEW:
        headers["Content-Encoding"] = "gzip"
        pieces = _gzipped(pieces)
    return Answer(pieces=pieces, headers=headers)


async def changes(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`GET /api/changes?since=&wait=`: what has changed since a number; waits for something to."""
    request.require_some("list")
    since, wait = request.number("since", None, 2**63), request.number("wait", 0, MOST_WAIT)
    replica = folder.index.replica
    await folder.refresh()
    if since is not None and since == replica.seq and wait and request.parameters.get("epoch") in (None, replica.epoch):
        await _until_changed(request, replica, wait)
    place = None if since is None else Cursor(replica.epoch, since)
    if place is None or request.parameters.get("epoch") not in (None, replica.epoch) or not await folder.reach(place):
        return Answer(json={"seq": replica.seq, "epoch": replica.epoch, "resync": place is not None, "operations": []})
    found = replica.changes_since(place) or []
    operations = [msgspec.Raw(message) for message in _messages(request, replica, found[:MOST_CHANGES])]
    seq = found[MOST_CHANGES - 1].seq if len(found) > MOST_CHANGES else replica.seq
    return Answer(json={"seq": seq, "epoch": replica.epoch, "resync": False, "operations": operations})


def _visible(request: Request, folder: Folder, paths: Iterator[str]) -> Iterator[FileMetadata]:
    index, rights = folder.index, request.rights
    for path in paths:
        if rights.allows("list", path) and (entry := index.metadata(path)) is not None:
            yield entry


async def _page(request: Request, folder: Folder, top: str, recursive: bool, count: int) -> list[FileMetadata]:
    """So many entries, looked for some at a time: of many paths a client may see few."""
    found: list[FileMetadata] = []
    after = request.parameters.get("cursor", "")
    while len(found) < count:
        paths = folder.index.below(top, after) if recursive else folder.index.inside(top, after)
        some = list(islice(paths, SLICE))
        found += _visible(request, folder, iter(some))
        if len(some) < SLICE:
            break
        after = some[-1]
        await asyncio.sleep(0)
    return found[:count]


async def _array(request: Request, folder: Folder, top: str, recursive: bool) -> AsyncIterator[bytes]:
    """All entries, some at a time: what changes meanwhile is in it or not, as anything that changes during a request."""
    after, separator = "", b"["
    while True:
        paths = folder.index.below(top, after) if recursive else folder.index.inside(top, after)
        some = list(islice(paths, SLICE))
        if text := msgspec.json.encode(list(_visible(request, folder, iter(some))))[1:-1]:
            yield separator + text
            separator = b","
        if len(some) < SLICE:
            break
        after = some[-1]
        await asyncio.sleep(0)
    yield b"]" if separator == b"," else b"[]"


async def _gzipped(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    deflate = zlib.compressobj(level=3, wbits=31)
    async for piece in pieces:
        if data := deflate.compress(piece):
            yield data
    yield deflate.flush()


def _messages(request: Request, replica: Replica, found: Sequence[Change]) -> Iterator[bytes]:
    filter = PathFilter(request.rights.tops("list"))
    for delivery in Steps(replica.epoch, replica.seq, found, filter).run():
        message = operation_message(delivery, filter, numbered=True)
        if message is not None:
            yield message


class _Arrival:
    """Observes a replica until something changes."""

    def __init__(self) -> None:
        self.happened = asyncio.Event()

    def changed(self, changes: Sequence[Change]) -> None:
        """Something has."""
        self.happened.set()

    def replaced(self, different: Sequence[Replacement] | None) -> None:
        """Everything may have."""
        self.happened.set()


async def _until_changed(request: Request, replica: Replica, seconds: float | None) -> None:
    arrival = _Arrival()
    replica.observe(arrival)
    waiting = [asyncio.ensure_future(arrival.happened.wait()), asyncio.ensure_future(request.gone())]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        replica.unobserve(arrival)
        for each in waiting:
            each.cancel()
        with suppress(asyncio.CancelledError, StreamError):
            await asyncio.gather(*waiting, return_exceptions=True)
