"""JSON that is read as it was written: PostgreSQL's `jsonb` forgets the order of members, and what comes first matters to clients."""

from __future__ import annotations

from typing import Any

from django.db import models


class OrderedJSONField(models.JSONField):
    """A JSON field in a column of PostgreSQL's type `json`. It is not for looking inside in queries."""

    def db_type(self, connection: Any) -> str | None:
        """The type of the column."""
        return "json" if connection.vendor == "postgresql" else super().db_type(connection)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """The parameter of a query."""
        adapted = super().get_db_prep_value(value, connection, prepared)
        if connection.vendor != "postgresql":
            return adapted
        from psycopg.types.json import Json

        return Json(adapted.obj, dumps=adapted.dumps)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """The value; psycopg has decoded it."""
        return value if connection.vendor == "postgresql" else super().from_db_value(value, expression, connection)
