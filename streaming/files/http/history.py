"""What has happened to files, what is in the trash, and how it comes back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.models import FileChange, TrashedFile

from ..audit_pages import changes_before, changes_of_path, still_trashed, trash_before
from ..folder import Folder
from ..metadata import format_time
from ..paths import clean_path, is_below
from ..service import FilesService
from ..store import not_in_trash
from .request import Answer, Request

MOST = 1000
"""Entries of one page."""
USUAL = 100


async def history(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`GET /api/history[?path=&limit=&cursor=]`: of a file, of all that is in a directory, or of everything that may be read."""
    request.require_some("read")
    path, limit = _path(request), _limit(request)
    await _written(service)
    if path and not folder.index.is_directory(path):
        rows, cursor = await changes_of_path(path, limit), None
    else:
        rows, cursor = await changes_before(
            request.parameters.get("cursor", ""), limit, lambda row: _concerns(row, path) and _entry(request, row) is not None
        )
    kept = await still_trashed([row.trash for row in rows if row.trash])
    entries = [{**entry, "trashed": row.trash if row.trash in kept else None} for row in rows if (entry := _entry(request, row))]
    return Answer(json={"changes": entries, "cursor": cursor})


async def trash(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`GET /api/trash[?path=&limit=&cursor=]`."""
    for right in ("read", "delete"):
        request.require_some(right)
    path = _path(request)
    await _written(service)

    def wanted(row: TrashedFile) -> bool:
        return (not path or is_below(row.path, path)) and _may(request, row.path, "read", "delete")

    rows, cursor = await trash_before(request.parameters.get("cursor", ""), _limit(request), wanted)
    return Answer(json={"trash": [_trashed(request, row) for row in rows], "cursor": cursor})


async def restore(request: Request, folder: Folder, service: FilesService) -> Answer:
    """`POST /api/restore` with `{"id"}`, and perhaps with `path` (another place) and `replace` (in the place of what is there)."""
    body = await request.json()
    id, replace = body.get("id"), body.get("replace", False)
    if not isinstance(id, str) or len(id) > 40 or not isinstance(replace, bool):
        raise StreamError("bad_request", "a restored file has an id, which is text, and perhaps replace, which is true or false")
    request.require_some("write")
    await _written(service)
    row = await TrashedFile.objects.filter(id=id).afirst()
    if row is None or not _may(request, row.path, "read"):
        raise not_in_trash()
    path = clean_path(body["path"] if body.get("path") is not None else row.path, conf.FILES_DEPTH)
    request.require("write", path)
    record = await folder.restore(id, path, request.actor, request.condition, replace)
    await folder.refresh()
    return Answer(json=folder.index.metadata(path) if record is None else record.metadata(path))


def _path(request: Request) -> str:
    return request.path_parameter() if request.parameters.get("path") else ""


def _limit(request: Request) -> int:
    limit = request.number("limit", USUAL, MOST)
    return USUAL if limit is None else max(limit, 1)


async def _written(service: FilesService) -> None:
    """What this process has changed is in the database; what others have is half a second later."""
    if service.audit is not None:
        await service.audit.flush()


def _may(request: Request, path: str, *rights: str) -> bool:
    return all(request.rights.allows(right, path) for right in rights)


def _concerns(row: FileChange, top: str) -> bool:
    return not top or is_below(row.path, top) or bool(row.target and is_below(row.target, top))


def _entry(request: Request, row: FileChange) -> dict[str, Any] | None:
    """One change as its reader may see it: a move across the border of what they may read has one end only."""
    action, path, source = row.action, row.target or row.path, row.path if row.target else None
    if source is not None and not _may(request, source, "read"):
        action, source = "create", None
    elif source is not None and not _may(request, path, "read"):
        action, path, source = "delete", source, None
    if not _may(request, path, "read"):
        return None
    return {
        "id": row.pk,
        "at": _time(row.at),
        "action": action,
        "actor": _actor(request, row.user),
        "source": row.client or None,
        "path": path,
        "from": source,
        "hash_before": row.hash_before or None,
        "hash_after": row.hash_after or None,
        "size": row.size,
    }


def _trashed(request: Request, row: TrashedFile) -> dict[str, Any]:
    return {
        "id": row.pk,
        "path": row.path,
        "size": row.size,
        "hash": row.hash,
        "at": _time(row.at),
        "actor": _actor(request, row.user),
        "expires": _time(row.at + timedelta(seconds=conf.FILES_TRASH_SECONDS)),
    }


def _actor(request: Request, user: str) -> str | None:
    """Names of users are for users."""
    return user or None if request.actor.user else None


def _time(at: datetime) -> str:
    return format_time(round(at.timestamp() * 1_000_000) * 1000)
