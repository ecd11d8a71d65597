"""What commands check and prepare before they begin: the ASGI application, the database's migrations, and Redis."""

from __future__ import annotations

import os
import resource
from contextlib import suppress

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError

from streaming.core.redis import redis_url
from streaming.engine.database import why_not_migrated
from streaming.server.application import load_application
from streaming.server.embedded_redis import RedisUnavailable, require_answer


def check_migrations() -> None:
    """`CommandError` if the database cannot be used or lacks migrations."""
    if (reason := why_not_migrated()) is not None:
        raise CommandError(reason)


def check_application() -> None:
    """`CommandError` if the project's ASGI application cannot be loaded or lacks the WebSocket routes."""
    try:
        load_application()
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error


def raise_file_limit() -> None:
    """Let this process, and its workers, open as many files as the system lets it: each connection is one."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError, OSError):  # macOS has a limit of its own besides
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def prepare_redis() -> str:
    """Find or start Redis, once for this process and its workers; returns its URL. `CommandError` if it does not answer."""
    try:
        url = redis_url()
        require_answer(url)
    except RedisUnavailable as error:
        raise CommandError(str(error)) from error
    os.environ["REDIS_URL"] = url
    return url
