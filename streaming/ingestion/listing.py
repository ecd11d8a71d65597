"""`GET /api/files/ingests`: what has become of files."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import reduce
from typing import Any

from channels.db import database_sync_to_async
from django.db import DatabaseError
from django.db.models import Q

from streaming.core.errors import StreamError
from streaming.files.folder import Folder
from streaming.files.http.request import Answer, Request
from streaming.files.service import FilesService
from streaming.models import FileIngest

from .file_events import describe

USUAL, MOST = 100, 1000


async def list_ingests(request: Request, folder: Folder, service: FilesService) -> Answer:
    """The latest first, of what the client may list; with `path` of this file, or of what is in this directory."""
    request.require_some("list")
    top = request.path_parameter() if request.parameters.get("path") else ""
    limit = request.number("limit", USUAL, MOST) or USUAL
    try:
        rows = await database_sync_to_async(_rows)(top, request.rights.tops("list"), limit)
    except DatabaseError:
        raise StreamError("internal", "the database does not answer; try again") from None
    return Answer(json={"ingests": rows})


def _rows(top: str, tops: Sequence[str] | None, limit: int) -> list[dict[str, Any]]:
    rows = FileIngest.objects.all()
    if top:
        rows = rows.filter(_below(top))
    if tops is not None:
        rows = rows.filter(reduce(operator.or_, map(_below, tops)))
    return [describe(row) for row in rows[:limit]]


def _below(top: str) -> Q:
    return Q(path=top) | Q(path__startswith=f"{top}/")
