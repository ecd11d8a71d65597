"""System checks of files: settings that cannot be read, and an order of apps in which the API would not be found."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import InvalidStorageError, storages

from streaming.engine.conf import conf

from .rights import anonymous_rights


@register()
def check_files(**kwargs: Any) -> list[CheckMessage]:
    """Errors that only the first request would find."""
    found: list[CheckMessage] = []
    try:
        anonymous_rights()
    except ImproperlyConfigured as error:
        found.append(Error(str(error), id="streaming.E020"))
    if conf.FILES_STORAGE:
        try:
            storages[conf.FILES_STORAGE]
        except InvalidStorageError as error:
            found.append(Error(f"GEOSTREAM_FILES_STORAGE names no storage: {error}", id="streaming.E021"))
    names = [app.name for app in apps.get_app_configs()]
    if "streaming.api" in names and names.index("streaming.api") < names.index("streaming.files"):
        hint = "Put 'streaming.files' before 'streaming.api' in INSTALLED_APPS: /api/ has a page for all that is not found."
        found.append(Error("The API of files is hidden by the one of layers.", hint=hint, id="streaming.E022"))
    return found
