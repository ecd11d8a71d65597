"""What a saved row was before, for receivers of signals that have something to say about the difference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db.models import Model

M = TypeVar("M", bound=Model)


def remember(row: Model) -> None:
    """Before a save: keep the row as it is in the database."""
    row._before = None if row.pk is None else type(row)._default_manager.filter(pk=row.pk).first()  # type: ignore[attr-defined]


def change_of(row: M, is_public: Callable[[M], bool]) -> str | None:
    """After a save, what everybody may see of it: `created`, `changed`, `removed`, or None.

    A row that becomes private is removed for everybody, and one that becomes public is created.
    """
    before: M | None = getattr(row, "_before", None)
    was, is_ = before is not None and is_public(before), is_public(row)
    if was and is_:
        return "changed" if _values(before) != _values(row) else None
    return "removed" if was else "created" if is_ else None


def _values(row: Model | None) -> list[Any]:
    return [] if row is None else [getattr(row, field.attname) for field in row._meta.concrete_fields]
