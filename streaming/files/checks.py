"""System checks of files: settings that cannot be read, and an order of apps in which the API would not be found."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import InvalidStorageError, storages

from streaming.engine.conf import conf

from .rights import anonymous_rights

DANGEROUS = ("write", "delete")
"""Rights in the folder that nobody should have without a login."""


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


@register(Tags.security, deploy=True)
def check_anonymous_rights(**kwargs: Any) -> list[CheckMessage]:
    """Nobody lets strangers fill the disk unknowingly."""
    try:
        rights = anonymous_rights()
    except ImproperlyConfigured:  # said by check_files
        return []
    given = [right for right in DANGEROUS if conf.FILES_UPLOAD and rights.allows_some(right)]
    if not given:
        return []
    hint = "Leave list and read in GEOSTREAM_FILES_ANONYMOUS, and give users the other permissions."
    return [Warning(f"Anybody may {' and '.join(given)} files without a login.", hint=hint, id="streaming.W024")]
