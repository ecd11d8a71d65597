"""The page of the folder in the admin: how full it is, and the conflicts in it, with a way to choose one of two versions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.models import TrashedFile

from .changes import Actor, Precondition
from .folder import Folder
from .merge import ConflictCopy, conflict_copy
from .metadata import FileRecord
from .outside import actor_of, in_folder

MOST_SHOWN = 200
"""Conflicts on the page."""
MOST_COUNTED = 100_000
"""Rows of the trash that are counted."""


class Version(NamedTuple):
    """One of two versions."""

    path: str
    size: int
    hash: str
    modified: datetime


class Conflict(NamedTuple):
    """A client's version that was kept beside the server's. Without an original, that is gone meanwhile."""

    copy: Version
    original: Version | None
    client: str
    choice: str
    """What the form sends: the hashes that were looked at, and the path."""


class FolderState(NamedTuple):
    """What the page shows."""

    files: int
    bytes: int
    free: int | None
    conflicts: Sequence[Conflict]
    more: int


def folder_page(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """Show it, or choose."""
    if not request.user.has_perm("streaming.list_files"):
        raise PermissionDenied
    may_choose = request.user.has_perms(("streaming.write_files", "streaming.delete_files"))
    if request.method == "POST":
        if not may_choose:
            raise PermissionDenied
        _choose(request)
        return HttpResponseRedirect(reverse("admin:streaming_folder"))
    state, error = None, ""
    try:
        state = in_folder(_look)
    except StreamError as refusal:
        error = refusal.message
    trash = TrashedFile.objects.filter(pk__in=TrashedFile.objects.order_by("-pk").values("pk")[:MOST_COUNTED])
    context = {
        **site.each_context(request),
        "title": "Folder of files",
        "state": state,
        "error": error,
        "may_choose": may_choose,
        "may_read": request.user.has_perm("streaming.read_files"),
        "most": conf.FILES_MOST,
        "quota": conf.FILES_QUOTA_BYTES,
        "to_be_free": conf.FILES_FREE_BYTES,
        "trash": trash.aggregate(count=Count("pk"), bytes=Sum("size")),
        "trash_days": round(conf.FILES_TRASH_SECONDS / 86_400, 1),
    }
    return render(request, "streaming/files_folder.html", context)


def _choose(request: HttpRequest) -> None:
    keep_copy, done = request.POST.get("keep") == "copy", 0
    for choice in request.POST.getlist("conflict"):
        hash, _, rest = choice.partition(":")
        original_hash, _, path = rest.partition(":")
        try:
            in_folder(partial(_decide, path, hash, original_hash, keep_copy, actor_of(request)))
        except StreamError as error:
            messages.error(request, f"{path!r}: {error.message}")
        else:
            done += 1
    if done:
        messages.success(request, f"{done} decided. The other versions are in the trash.")


async def _decide(path: str, hash: str, original_hash: str, keep_copy: bool, actor: Actor, folder: Folder) -> None:
    """Keep one version; only as long as both are those that were looked at."""
    copy = conflict_copy(path)
    if copy is None:
        raise StreamError("bad_request", "this is not the name of a conflict")
    expected = Precondition(match=frozenset({hash}))
    if not keep_copy:
        await folder.delete(path, actor, expected)
    elif original_hash:
        await folder.replace(path, copy.original, actor, expected, Precondition(match=frozenset({original_hash})))
    else:
        await folder.move(path, copy.original, actor)


async def _look(folder: Folder) -> FolderState:
    await folder.refresh()
    free = await folder.run(lambda: folder.store.free_bytes)
    conflicts = await folder.run(_conflicts, folder)
    return FolderState(folder.index.files, folder.index.bytes, free, conflicts[:MOST_SHOWN], max(len(conflicts) - MOST_SHOWN, 0))


def _conflicts(folder: Folder) -> list[Conflict]:
    """In a thread: all that there are, in the order of paths."""
    copies = [(path, copy) for path in list(folder.index.replica.items) if (copy := conflict_copy(path)) is not None]
    found = (_conflict(folder, path, copy) for path, copy in sorted(copies))
    return [conflict for conflict in found if conflict is not None]


def _conflict(folder: Folder, path: str, copy: ConflictCopy) -> Conflict | None:
    mine, theirs = folder.index.record(path), folder.index.record(copy.original)
    if mine is None or mine.directory or (theirs is not None and theirs.directory):
        return None
    choice = f"{mine.hash}:{theirs.hash if theirs else ''}:{path}"
    return Conflict(_version(path, mine), None if theirs is None else _version(copy.original, theirs), copy.client, choice)


def _version(path: str, record: FileRecord) -> Version:
    return Version(path, record.size, record.hash, datetime.fromtimestamp(record.modified / 1e9, UTC))
