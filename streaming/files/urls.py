"""The addresses of the API of files: under `api/files/`, and the short ones under `api/`. All work with and without a slash at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import re_path

from streaming.engine.raw_http import raw_view

from .http import bundles, changing, downloads, history, listing, own_rights, sync, tus, uploads
from .http.application import Action, FilesApplication

ACTIONS: Mapping[str, Mapping[str, Action]] = {
    "list": {"GET": listing.list_files, "HEAD": listing.list_files},
    "rights": {"GET": own_rights.own_rights, "HEAD": own_rights.own_rights},
    "metadata": {"GET": downloads.metadata, "HEAD": downloads.metadata},
    "download": {"GET": downloads.download, "HEAD": downloads.download},
    "upload": {"PUT": uploads.upload, "POST": uploads.upload},
    "upload-many": {"POST": bundles.upload_many},
    "download-many": {"POST": bundles.download_many},
    "delete": {"DELETE": changing.delete},
    "rename": {"POST": changing.rename},
    "mkdir": {"POST": changing.make_directory},
    "sync": {"POST": sync.plan},
    "changes": {"GET": listing.changes},
    "history": {"GET": history.history},
    "trash": {"GET": history.trash},
    "restore": {"POST": history.restore},
}
_TUS_HEADERS = {"Tus-Resumable": tus.VERSION}
_TUS: Mapping[str, Action] = {"OPTIONS": tus.capabilities, "POST": tus.create}
_TUS_UPLOAD: Mapping[str, Action] = {"OPTIONS": tus.capabilities, "HEAD": tus.head, "PATCH": tus.patch, "DELETE": tus.terminate}

urlpatterns: list[Any] = [
    re_path(rf"^api/(?:files/)?{name}/?$", raw_view(FilesApplication(name, methods)), name=f"files-{name}")
    for name, methods in ACTIONS.items()
]
urlpatterns += [
    re_path(r"^api/(?:files/)?tus/?$", raw_view(FilesApplication("tus", _TUS, _TUS_HEADERS)), name="files-tus"),
    re_path(
        r"^api/(?:files/)?tus/(?P<upload>[^/]+)/?$", raw_view(FilesApplication("tus", _TUS_UPLOAD, _TUS_HEADERS)), name="files-tus-upload"
    ),
]
