"""System checks of ingestion: patterns that cannot be read, and an order of apps in which the list of ingests would not be found."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, register

from streaming.core.errors import StreamError
from streaming.files.operations import compile_patterns

from .kinds import wanted_patterns


@register()
def check_ingestion(**kwargs: Any) -> list[CheckMessage]:
    """Errors that only the first file would find."""
    found: list[CheckMessage] = []
    try:
        compile_patterns(wanted_patterns())
    except StreamError as error:
        found.append(Error(f"GEOSTREAM_INGEST_PATTERNS: {error.message}", id="streaming.E030"))
    names = [app.name for app in apps.get_app_configs()]
    if "streaming.api" in names and names.index("streaming.api") < names.index("streaming.ingestion"):
        hint = "Put 'streaming.ingestion' before 'streaming.api' in INSTALLED_APPS: /api/ has a page for all that is not found."
        found.append(Error("The list of ingests is hidden by the API of layers.", hint=hint, id="streaming.E031"))
    return found
