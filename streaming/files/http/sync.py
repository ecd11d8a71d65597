"""The three-way plan: what a client has to do so that it and the server have the same, from what it has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import msgspec

from streaming.core.errors import StreamError
from streaming.core.feed import Cursor
from streaming.core.items import Change, Item
from streaming.engine.conf import conf

from ..folder import Folder
from ..merge import merge
from ..metadata import HASH, FileMetadata, record_of
from ..paths import clean_path
from ..service import FilesService
from .request import Answer, Request, too_large

MOST_BYTES = 64 * 1024 * 1024


class SyncRequest(msgspec.Struct):
    """What a client has. `since` is the number up to which it had agreed with the server; without it, this is the first contact."""

    client_id: str
    files: list[FileMetadata]
    since: Annotated[int, msgspec.Meta(ge=0)] | None = None
    epoch: str | None = None


Contents = dict[str, str]
"""Hashes by path; those of directories are empty."""


async def plan(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`POST /api/sync`."""
    request.require_some("list")
    service.access.begin_upload(request.caller)  # it may be as large as one
    try:
        return await _answer(request, folder)
    finally:
        service.access.end_upload(request.caller)


async def _answer(request: Request, folder: Folder) -> Answer:
    asked = await _read(request, folder)
    await folder.refresh()
    replica = folder.index.replica
    since = None if asked.since is None else Cursor(replica.epoch, asked.since)
    known = since is not None and asked.epoch in (None, replica.epoch) and await folder.reach(since)
    # Nothing awaits from here on until both are taken: they are of the same moment.
    changes = replica.changes_since(since) if known and since is not None else None
    items, seq = dict(replica.items), replica.seq
    found = await folder.run(_planned, request, asked, items, changes)
    return Answer(json={"seq": seq, "epoch": replica.epoch, "resync": changes is None, **found})


def _planned(request: Request, asked: SyncRequest, items: dict[str, Item], changes: list[Change] | None) -> dict[str, list[Any]]:
    """In a thread. What the client may not list is not there for it."""
    visible = partial(request.rights.allows, "list")
    records = {path: record_of(item) for path, item in items.items() if visible(path)}
    remote = {path: record.hash for path, record in records.items()}
    found = _plan(_base(remote, changes, visible), _local(asked.files), remote)
    found["download"] = [records[path].metadata(path) for path in found["download"]]
    return found


def _base(remote: Contents, changes: list[Change] | None, visible: Callable[[str], bool]) -> Contents:
    """What the server had when the client agreed with it: what it has now, without the changes since."""
    base = {} if changes is None else dict(remote)
    for change in reversed(changes or ()):
        if change.old is None:
            base.pop(change.key, None)
        elif visible(change.key):
            base[change.key] = record_of(change.old).hash
    return base


async def _read(request: Request, folder: Folder) -> SyncRequest:
    if (request.length or 0) > MOST_BYTES:
        raise too_large(MOST_BYTES)
    body = b"".join([chunk async for chunk in request.chunks(MOST_BYTES)])
    try:
        return await folder.run(msgspec.json.decode, body, type=SyncRequest)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise StreamError("bad_request", f"the body is not a list of files: {error}") from None


def _local(files: list[FileMetadata]) -> Contents:
    local: Contents = {}
    for each in files:
        if not (HASH.fullmatch(each.hash) or (each.is_directory and not each.hash)):
            raise StreamError("bad_request", "hash must be SHA-256 in 64 lower-case hexadecimal digits")
        local[clean_path(each.path, conf.FILES_DEPTH)] = "" if each.is_directory else each.hash
    return local


def _plan(base: Contents, local: Contents, remote: Contents) -> dict[str, list[Any]]:
    """What the client has to upload (with the hash that the server has now), download, delete here and there, and what is in conflict.

    Directories that only contain something are in the paths of that.
    """
    implied = {top for path in remote for top in _tops(path)}
    plan: dict[str, list[Any]] = {"upload": [], "download": [], "delete": [], "delete_remote": [], "conflicts": []}
    for path in sorted(base.keys() | local.keys() | remote.keys()):
        if path in implied and path not in remote and not local.get(path):
            continue
        action = merge(base.get(path), local.get(path), remote.get(path))
        if action in ("upload", "delete_remote"):
            plan[action].append({"path": path, "base": remote.get(path)})
        elif action == "download":
            plan["download"].append(path)
        elif action == "delete_local":
            plan["delete"].append({"path": path, "base": base.get(path)})
        elif action == "conflict":
            plan["conflicts"].append({"path": path, "local": local.get(path), "remote": remote.get(path), "base": base.get(path)})
    return plan


def _tops(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
