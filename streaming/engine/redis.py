"""Finds the URL of Redis in the project's settings."""

from __future__ import annotations

import os

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string


def redis_is_configured() -> bool:
    """Whether the project configures a Redis."""
    return hasattr(settings, "GEOSTREAM_REDIS_RESOLVER") or bool(configured_url())


def find_redis() -> str:
    """The URL of Redis: from `GEOSTREAM_REDIS_RESOLVER`, the dotted path of a function that may start one; else from `REDIS_URL`."""
    if resolver := getattr(settings, "GEOSTREAM_REDIS_RESOLVER", None):
        return str(import_string(resolver)())
    if url := configured_url():
        return url
    raise ImproperlyConfigured('Set REDIS_URL, such as "redis://localhost:6379"')


def configured_url() -> str:
    """The URL that the project names, in its settings or by the environment variable; empty if it names none."""
    return str(getattr(settings, "REDIS_URL", "") or os.environ.get("REDIS_URL", ""))
