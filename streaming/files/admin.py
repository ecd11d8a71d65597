"""The admin of files: clients, the trash, and the audit. None of it is slow because there is much of it, or fails because Redis is away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode

from streaming.core.errors import StreamError
from streaming.core.redis import refusing, sync_redis
from streaming.engine.bounded_paginator import BoundedPaginator
from streaming.engine.conf import conf
from streaming.engine.read_only_admin import ReadOnlyAdmin
from streaming.models import FileChange, SyncClient, TrashedFile

from .audit_pages import begins_with
from .changes import Actor
from .clients import LEASE_SECONDS
from .folder import Folder
from .folder_feed import FolderFeed
from .folder_page import folder_page
from .outside import actor_of, in_folder

MOST_USERS = 50
"""Users among the filters of the audit; others are found by a click on their name."""


class FilesAdmin(ReadOnlyAdmin):
    """What the lists here share: they are long, and lead to the page of the folder."""

    change_list_template = "streaming/files_change_list.html"
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # they would count all rows

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        """Rows of paths that begin so: that is what there is an index for."""
        term = search_term.strip().lstrip("/")
        return (queryset.filter(self.search(term)) if term else queryset), False

    def search(self, term: str) -> Q:
        """The condition."""
        return begins_with("path", term)


class ClientChangeList(ChangeList):
    """A list of clients that asks once for the number of the last change."""

    def get_results(self, request: HttpRequest) -> None:
        """The rows, each with the `newest` number; None if Redis does not answer."""
        super().get_results(request)
        try:
            with refusing():
                newest: Any = int(sync_redis().hget(FolderFeed().meta_key, "seq") or 0)
        except StreamError:
            newest = None
        for client in self.result_list:
            client.newest = newest


class ConnectedFilter(admin.SimpleListFilter):
    """By whether clients are there."""

    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The states."""
        return [(state, state) for state in ("connected", "stale", "away")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Clients in one of them."""
        match self.value():
            case "connected":
                return queryset.filter(connected=True, seen__gte=_stale_before())
            case "stale":
                return queryset.filter(connected=True, seen__lt=_stale_before())
            case "away":
                return queryset.filter(connected=False)
        return queryset


@admin.register(SyncClient)
class SyncClientAdmin(FilesAdmin):
    """Clients that follow the folder, or did."""

    list_display = ("id", "who", "address", "state", "opened", "heard", "seq", "lag")
    list_filter = (ConnectedFilter,)
    search_help_text = "The beginning of a client's id, a user, or an address."
    search_fields = ("id",)
    ordering = ("-connected", "-seen")
    fields = ("id", "who", "address", "state", "since", "seen", "seq")
    readonly_fields = ("who", "state")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """The list with the number of the last change."""
        return ClientChangeList

    def search(self, term: str) -> Q:
        """By id, user or address."""
        return begins_with("id", term) | Q(user=term) | Q(address=term)

    @admin.display(description="user", ordering="user", empty_value="anonymous")
    def who(self, client: SyncClient) -> str | None:
        """The user, or nobody."""
        return client.user or None

    @admin.display
    def state(self, client: SyncClient) -> str:
        """Stale is whose server process has not been heard of."""
        if not client.connected:
            return "away"
        return "stale" if client.seen < _stale_before() else "connected"

    @admin.display(description="since", ordering="since")
    def opened(self, client: SyncClient) -> str:
        """How long ago it subscribed."""
        return f"{naturaltime(client.since)}" if client.since and client.connected else ""

    @admin.display(description="seen", ordering="seen")
    def heard(self, client: SyncClient) -> str:
        """How long ago that was written down."""
        return f"{naturaltime(client.seen)}"

    @admin.display(description="lag", ordering="seq")
    def lag(self, client: Any) -> str:
        """Changes that it was not sent yet, or that were not in its list when that was written down."""
        return "unknown: Redis does not answer" if client.newest is None else f"{max(client.newest - client.seq, 0):,}"


@admin.register(TrashedFile)
class TrashedFileAdmin(FilesAdmin):
    """What was deleted and replaced, and is kept for a while."""

    list_display = ("path", "kind", "size_shown", "gone", "who", "kept")
    list_filter = ("replaced", "at")
    search_fields = ("path",)
    search_help_text = "The beginning of a path."
    ordering = ("-at", "-id")
    sortable_by = ("gone", "path")
    fields = readonly_fields = ("id", "path", "kind", "size_shown", "hash", "at", "who", "kept")
    actions = ("restore", "restore_in_place")

    def has_restore_permission(self, request: HttpRequest) -> bool:
        """For those who may write into the folder."""
        return request.user.has_perm("streaming.write_files")

    @admin.action(description="Restore selected to where nothing is", permissions=["restore"])
    def restore(self, request: HttpRequest, rows: QuerySet[TrashedFile]) -> None:
        """Put back what has a free place."""
        self._restore(request, rows, replace=False)

    @admin.action(description="Restore selected; what is in their place goes to the trash", permissions=["restore"])
    def restore_in_place(self, request: HttpRequest, rows: QuerySet[TrashedFile]) -> None:
        """Put back other versions."""
        self._restore(request, rows, replace=True)

    def _restore(self, request: HttpRequest, rows: QuerySet[TrashedFile], replace: bool) -> None:
        restored, actor = 0, actor_of(request)
        for row in rows:
            try:
                in_folder(lambda folder, row=row: _restored(folder, row, actor, replace))  # type: ignore[misc]
            except StreamError as error:
                self.message_user(request, f"{row.path!r}: {error.message}", messages.ERROR)
                if error.code != "not_found":
                    continue
            else:
                restored += 1
            row.delete()  # the audit does that too, a moment later
        if restored:
            self.message_user(request, f"{restored} restored.", messages.SUCCESS)

    @admin.display
    def kind(self, row: TrashedFile) -> str:
        """What it was, and why it is here."""
        if not row.hash:
            return "directory"
        return "replaced version" if row.replaced else "deleted file"

    @admin.display(description="size", empty_value="")
    def size_shown(self, row: TrashedFile) -> str | None:
        """Of a file."""
        return filesizeformat(row.size) if row.hash else None

    @admin.display(description="since", ordering="at")
    def gone(self, row: TrashedFile) -> str:
        """How long ago it went."""
        return f"{naturaltime(row.at)}"

    @admin.display(description="by", ordering="user", empty_value="")
    def who(self, row: TrashedFile) -> str | None:
        """The user, or nobody."""
        return row.user or None

    @admin.display(description="kept until")
    def kept(self, row: TrashedFile) -> Any:
        """The end of its retention."""
        return timezone.localtime(row.at + timedelta(seconds=conf.FILES_TRASH_SECONDS)).strftime("%Y-%m-%d %H:%M")


class ActionFilter(admin.SimpleListFilter):
    """By what was done."""

    title, parameter_name = "action", "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """All actions: to ask which of them there are would read every row."""
        return [(action, action) for action in ("upload", "create", "update", "delete", "move", "mkdir", "restore")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Changes of one kind."""
        return queryset.filter(action=self.value()) if self.value() else queryset


class UserFilter(admin.SimpleListFilter):
    """By who did it."""

    title, parameter_name = "user", "user"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Some users, found by one step through the index each."""
        return [(user, user) for user in _users()]

    def has_output(self) -> bool:
        """Also for a user who is not among them."""
        return bool(self.lookup_choices) or self.value() is not None

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Changes by one user."""
        return queryset.filter(user=self.value()) if self.value() else queryset


@admin.register(FileChange)
class FileChangeAdmin(FilesAdmin):
    """Who changed what."""

    list_display = ("moment", "action", "where", "size_shown", "who", "client", "address", "content")
    list_filter = (ActionFilter, UserFilter, "at")
    search_fields = ("path",)
    search_help_text = "The beginning of a path."
    ordering = ("-at", "-id")
    sortable_by = ("moment",)

    def get_urls(self) -> list[URLPattern]:
        """And the page of the folder."""
        view = self.admin_site.admin_view(lambda request: folder_page(request, self.admin_site))
        return [path("folder/", view, name="streaming_folder"), *super().get_urls()]

    def search(self, term: str) -> Q:
        """Also by where something was moved to."""
        return begins_with("path", term) | begins_with("target", term)

    @admin.display(description="time", ordering="at")
    def moment(self, change: FileChange) -> str:
        """With seconds."""
        return f"{timezone.localtime(change.at):%Y-%m-%d %H:%M:%S}"

    @admin.display(description="path")
    def where(self, change: FileChange) -> str:
        """The path, and where it was moved to."""
        return f"{change.path} → {change.target}" if change.target else change.path

    @admin.display(description="size")
    def size_shown(self, change: FileChange) -> str:
        """What people read."""
        return filesizeformat(change.size)

    @admin.display(description="user", empty_value="")
    def who(self, change: FileChange) -> str | None:
        """The user, with a link to what they did."""
        return format_html('<a href="?{}">{}</a>', urlencode({"user": change.user}), change.user) if change.user else None

    @admin.display(description="content")
    def content(self, change: FileChange) -> str:
        """The beginnings of the hashes before and after."""
        before, after = change.hash_before[:8] or "–", change.hash_after[:8] or "–"
        return f"{before} → {after}" if before != after else before


async def _restored(folder: Folder, row: TrashedFile, actor: Actor, replace: bool) -> None:
    await folder.restore(row.pk, row.path, actor, replace=replace)


def _stale_before() -> Any:
    return timezone.now() - timedelta(seconds=LEASE_SECONDS)


def _users() -> Iterator[str]:
    last = ""
    for _ in range(MOST_USERS):
        found = FileChange.objects.filter(user__gt=last).order_by("user").values_list("user", flat=True).first()
        if found is None:
            return
        yield found
        last = found
