"""What commands check and prepare before they begin: the ASGI application, the database's migrations, and Redis."""

from __future__ import annotations

import os

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from streaming.core.redis import redis_url
from streaming.server.application import load_application
from streaming.server.embedded_redis import RedisUnavailable, require_answer


def check_migrations() -> None:
    """`CommandError` if the database cannot be used or lacks migrations."""
    if (reason := why_not_migrated()) is not None:
        raise CommandError(reason)


def why_not_migrated() -> str | None:
    """Why the database is not as the code needs it, and what to do; None if it is."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        return f"The database cannot be used: {error}"
    return f"{len(missing)} migrations have not been applied. Run: python manage.py migrate" if missing else None


def check_application() -> None:
    """`CommandError` if the project's ASGI application cannot be loaded or lacks the WebSocket routes."""
    try:
        load_application()
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error


def prepare_redis() -> str:
    """Find or start Redis, once for this process and its workers; returns its URL. `CommandError` if it does not answer."""
    try:
        url = redis_url()
        require_answer(url)
    except RedisUnavailable as error:
        raise CommandError(str(error)) from error
    os.environ["REDIS_URL"] = url
    return url
