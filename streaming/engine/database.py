"""Whether the database is as the code needs it."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor


def why_not_migrated() -> str | None:
    """Why the database cannot be used with this code, and what to do; None if it can."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        return f"The database cannot be used: {error}"
    return f"{len(missing)} migrations have not been applied. Run: python manage.py migrate" if missing else None
