"""Empties the database after a test that may commit, in a few milliseconds.

Django's own way also removes what migrations have made, the types of content and the permissions, and makes them anew, which
takes longer than many a test. Here they stay, and are made anew only if a test has removed some.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.db.models import Model
from django.test import TransactionTestCase

KEPT: tuple[type[Model], ...] = (Permission, ContentType)


def kept() -> dict[type[Model], frozenset[object]]:
    """The keys of what migrations have made."""
    found: dict[type[Model], frozenset[object]] = {}
    with connection.cursor() as cursor:
        for model in KEPT:
            cursor.execute(f"SELECT id FROM {connection.ops.quote_name(model._meta.db_table)}")
            found[model] = frozenset(key for (key,) in cursor.fetchall())
    return found


@contextmanager
def quick_flush() -> Iterator[None]:
    """Meanwhile `TransactionTestCase` empties the database so. To be entered with a database that was just migrated."""
    usual = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]
    migrated = kept()
    tables = {model._meta.db_table for model in apps.get_models(include_auto_created=True) if model._meta.managed}
    emptied = sorted(tables - {model._meta.db_table for model in KEPT})
    used = "SELECT " + ", ".join(f"EXISTS(SELECT 1 FROM {connection.ops.quote_name(table)})" for table in emptied)

    def empty_tables(case: TransactionTestCase) -> None:
        with connection.cursor() as cursor:
            cursor.execute(used)
            full = [table for table, rows in zip(emptied, cursor.fetchone(), strict=True) if rows]
        if full:
            with connection.constraint_checks_disabled(), transaction.atomic(), connection.cursor() as cursor:
                for table in full:
                    cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
        now = kept()
        for model in KEPT:
            if added := now[model] - migrated[model]:
                model._default_manager.filter(pk__in=added).delete()
        if any(migrated[model] - now[model] for model in KEPT):
            usual(case)
            ContentType.objects.clear_cache()
            migrated.update(kept())

    TransactionTestCase._fixture_teardown = empty_tables  # type: ignore[attr-defined]
    try:
        yield
    finally:
        TransactionTestCase._fixture_teardown = usual  # type: ignore[attr-defined]
