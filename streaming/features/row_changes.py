"""What a saved row was before, for receivers of signals that have something to say about the difference."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from django.db.models import Model

from .event_audience import Audience, split_audience

M = TypeVar("M", bound=Model)


def remember(row: Model) -> None:
    """Before a save: keep the row as it is in the database."""
    row._before = None if row.pk is None else type(row)._default_manager.filter(pk=row.pk).first()  # type: ignore[attr-defined]


def row_before(row: M) -> M | None:
    """After a save: the row as it was, None if it is new."""
    return getattr(row, "_before", None)


def audiences_of_change(row: M, permissions: Callable[[M], Collection[str]]) -> list[tuple[str, Audience]]:
    """After a save, what it was for whom: `created`, `changed` or `removed`, by the permissions that reading the row takes."""
    before = row_before(row)
    if before is None:
        return [("created", Audience(tuple(permissions(row))))]
    if _values(before) == _values(row):
        return []
    return list(split_audience(permissions(before), permissions(row)))


def _values(row: Model) -> list[Any]:
    return [getattr(row, field.attname) for field in row._meta.concrete_fields]
