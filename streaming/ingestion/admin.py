"""The admin of ingests: what has become of files. Nothing is changed here but that a file is ingested again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from streaming.core.errors import StreamError
from streaming.core.redis import refusing, sync_redis
from streaming.models import FileIngest

from .file_events import AGAIN


@admin.register(FileIngest)
class FileIngestAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic only in the stubs
    """The list of ingests."""

    list_display = ("path", "status", "kind", "layer", "tileset", "features", "message", "updated")
    list_filter = ("status", "kind")
    search_fields = ("path", "layer", "tileset")
    actions = ("ingest_again",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Files are added to the folder."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: FileIngest | None = None) -> bool:
        """It is only shown."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: FileIngest | None = None) -> bool:
        """It goes with its file."""
        return False

    @admin.action(description="Ingest again", permissions=["ingest"])
    def ingest_again(self, request: HttpRequest, rows: QuerySet[FileIngest]) -> None:
        """Have the process that ingests read these files once more."""
        try:
            with refusing():
                sync_redis().sadd(AGAIN, *rows.values_list("path", flat=True))
        except StreamError as error:
            self.message_user(request, error.message, messages.ERROR)
        else:
            self.message_user(request, "They are read again in a moment.")

    def has_ingest_permission(self, request: HttpRequest) -> Any:
        """Who may change layers may have them made again."""
        return request.user.has_perm("streaming.change_layer")
