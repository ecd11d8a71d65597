"""The address of the list of ingests."""

from __future__ import annotations

from typing import Any

from django.urls import re_path

from streaming.engine.raw_http import raw_view
from streaming.files.http.application import FilesApplication

from .listing import list_ingests

urlpatterns: list[Any] = [
    re_path(
        r"^api/files/ingests/?$",
        raw_view(FilesApplication("ingests", {"GET": list_ingests, "HEAD": list_ingests})),
        name="files-ingests",
    )
]
