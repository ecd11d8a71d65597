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
from django.test import TransactionTestCase

KEPT = (Permission, ContentType)


@contextmanager
def quick_flush() -> Iterator[None]:
    """Meanwhile `TransactionTestCase` empties the database so. To be entered with a database that was just migrated."""
    usual = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]
    migrated = {model: frozenset(model._default_manager.values_list("pk", flat=True)) for model in KEPT}
    tables = {model._meta.db_table for model in apps.get_models(include_auto_created=True) if model._meta.managed}
    emptied = sorted(tables - {model._meta.db_table for model in KEPT})

    def empty_tables(case: TransactionTestCase) -> None:
        with connection.constraint_checks_disabled(), transaction.atomic(), connection.cursor() as cursor:
            for table in emptied:
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
        now = {model: frozenset(model._default_manager.values_list("pk", flat=True)) for model in KEPT}
        for model in KEPT:
            if added := now[model] - migrated[model]:
                model._default_manager.filter(pk__in=added).delete()
        if any(migrated[model] - now[model] for model in KEPT):
            usual(case)
            ContentType.objects.clear_cache()
            migrated.update({model: frozenset(model._default_manager.values_list("pk", flat=True)) for model in KEPT})

    TransactionTestCase._fixture_teardown = empty_tables  # type: ignore[attr-defined]
    try:
        yield
    finally:
        TransactionTestCase._fixture_teardown = usual  # type: ignore[attr-defined]
