"""Values as they are written to the database for the admin: short, without NUL, each row once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.db.models import Model

LONGEST_CONDITION = 2000
"""Characters and members of a condition that is shown in the admin."""

Row = TypeVar("Row", bound=Model)


def brief(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Conditions as far as a person reads them: what is long would be written again and again, and PostgreSQL knows no NUL."""
    short = {name: value if _weight(value) <= LONGEST_CONDITION else "…" for name, value in conditions.items()}
    shown: dict[str, Any] = json.loads(json.dumps(short).replace("\\u0000", ""))
    return shown


def _weight(value: Any) -> int:
    """Characters and members, counted only until it is too many."""
    if not isinstance(value, str | list | tuple | dict):
        return 1
    weight = len(value)
    if isinstance(value, str) or weight > LONGEST_CONDITION:
        return weight
    for member in value.values() if isinstance(value, dict) else value:
        weight += _weight(member)
        if weight > LONGEST_CONDITION:
            break
    return weight


def short_text(text: str, length: int) -> str:
    """A text without NUL, cut to a column's length."""
    return text.replace("\0", "")[:length]


def utc(seconds: float) -> datetime:
    """The time of so many seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def distinct_rows(makers: Iterable[Callable[[], Row]]) -> list[Row]:
    """Made rows, each primary key once: PostgreSQL writes none twice at a time, and long ids were cut."""
    return list({row.pk: row for row in (make() for make in makers)}.values())


def remove_rows(model: type[Model], keys: list[str]) -> None:
    """Delete rows by primary key. For none of them Django would take as long as for one."""
    if keys:
        model._default_manager.filter(pk__in=keys).delete()
