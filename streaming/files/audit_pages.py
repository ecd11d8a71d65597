"""Pages of the audit and of the trash, the newest first. Each look at the database is short, however many rows there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import chain
from typing import Any, TypeVar

from channels.db import database_sync_to_async
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.models import FileChange, TrashedFile

from .paths import parents

T = TypeVar("T", FileChange, TrashedFile)
ROWS = 500
"""Rows that are read at once."""
MOST_LOOKED_AT = 20_000
"""Rows that are looked at for one page: one that ends early has a cursor, too."""
OF_ALL = ("delete", "move", "restore")
"""What happens to a directory with all that is in it."""


async def changes_of_path(path: str, limit: int) -> list[FileChange]:
    """The newest changes of one file, and those of the directories above it."""
    found: list[FileChange] = await database_sync_to_async(_changes_of_path)(path, limit)
    return found


def _changes_of_path(path: str, limit: int) -> list[FileChange]:
    rows = FileChange.objects.all()
    above = rows.filter(action__in=OF_ALL)
    # One query for each index: with OR between them, a database would sort everything that there is of a path.
    queries = rows.filter(path=path), rows.filter(target=path), above.filter(path__in=parents(path)), above.filter(target__in=parents(path))
    found = chain.from_iterable(query[:limit] for query in queries)
    return sorted(found, key=lambda row: (row.at, row.pk), reverse=True)[:limit]


async def changes_before(cursor: str, limit: int, wanted: Callable[[FileChange], bool]) -> tuple[list[FileChange], str | None]:
    """A page of the audit, and the cursor of the next one. `StreamError("bad_request")` for what is no cursor."""
    return await _page(FileChange.objects.all(), _before_change, lambda row: f"{row.at.isoformat()}~{row.pk}", cursor, limit, wanted)


async def trash_before(cursor: str, limit: int, wanted: Callable[[TrashedFile], bool]) -> tuple[list[TrashedFile], str | None]:
    """A page of the trash, and the cursor of the next one. Ids begin with the time, so their order is that of time."""
    kept = TrashedFile.objects.filter(at__gt=timezone.now() - timedelta(seconds=conf.FILES_TRASH_SECONDS)).order_by("-id")
    return await _page(kept, lambda id: Q(id__lt=id), lambda row: row.pk, cursor, limit, wanted)


def _before_change(cursor: str) -> Q:
    time_text, _, id = cursor.partition("~")
    try:
        at = parse_datetime(time_text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not (id.isascii() and id.isdigit()) or len(id) > 18:
        raise StreamError("bad_request", "this is no cursor of such a page")
    return Q(at__lte=at) & (Q(at__lt=at) | Q(id__lt=int(id)))


async def _page(
    rows: QuerySet[T], before: Callable[[str], Q], place_of: Callable[[T], str], cursor: str, limit: int, wanted: Callable[[T], bool]
) -> tuple[list[T], str | None]:
    found: list[T] = []
    for _ in range(MOST_LOOKED_AT // ROWS):
        some: Sequence[Any] = await database_sync_to_async(list)((rows.filter(before(cursor)) if cursor else rows)[:ROWS])
        for row in some:
            if wanted(row):
                if len(found) == limit:
                    return found, cursor
                found.append(row)
            cursor = place_of(row)
        if len(some) < ROWS:
            return found, None
    return found, cursor


async def still_trashed(ids: Sequence[str]) -> set[str]:
    """Which of these are in the trash."""
    return {id async for id in TrashedFile.objects.filter(id__in=ids).values_list("id", flat=True)}
