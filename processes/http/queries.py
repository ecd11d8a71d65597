"""Parameters of queries."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from datetime import time as time_of_day
from typing import Any
from uuid import UUID

from django.http import QueryDict
from django.utils.dateparse import parse_date, parse_datetime

from streaming.engine.conf import conf

from .exceptions import invalid_query

MOST_OFFSET = 1_000_000_000


def read_limit(query: QueryDict) -> int:
    """How many are wanted on a page: more than there may be are as many as there may be."""
    number = read_number(query, "limit", least=1)
    return int(min(conf.PROCESS_LIST_LIMIT if number is None else number, conf.PROCESS_LIST_MOST))


def read_number(query: QueryDict, name: str, least: int = 0) -> int | None:
    """A whole number."""
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 18 or int(text) < least:
        raise invalid_query(name, f"it is a whole number, {least} or more")
    return int(text)


def read_names(query: QueryDict, name: str) -> list[str]:
    """Names of a parameter that may be repeated, or have several with commas between them."""
    parts = [part for text in query.getlist(name) for part in text.split(",") if part]
    if any("\0" in part for part in parts):
        raise invalid_query(name, "a name has no NUL")
    return parts


def read_interval(query: QueryDict, name: str) -> tuple[datetime | None, datetime | None]:
    """An instant, or an interval with `..` for an open end."""
    text = query.get(name)
    if text is None:
        return None, None
    first, slash, last = text.partition("/")
    if not slash:
        return _instant(first, name), _instant(first, name, last=True)
    begin = None if first in ("", "..") else _instant(first, name)
    end = None if last in ("", "..") else _instant(last, name, last=True)
    if begin is None and end is None:
        raise invalid_query(name, "one end of an interval must be a time")
    if begin is not None and end is not None and begin > end:
        raise invalid_query(name, "the interval ends before it begins")
    return begin, end


def _instant(text: str, name: str, last: bool = False) -> datetime:
    """A time, or a day, of which the end is its last moment."""
    try:
        if len(text) <= len("2026-01-31") and (day := parse_date(text)) is not None:
            return datetime.combine(day, time_of_day.max if last else time_of_day.min, tzinfo=UTC)
        found = parse_datetime(text.replace(" ", "+"))
        if found is not None:
            found = found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise invalid_query(name, "it is a time such as 2026-01-31T12:00:00Z, or an interval such as 2026-01-01T00:00:00Z/..")
    return found


class Cursor:
    """A place in a list of jobs: behind a job, or before one."""

    def __init__(self, created: datetime, job: UUID, backwards: bool = False) -> None:
        self.created = created
        self.job = job
        self.backwards = backwards

    def __str__(self) -> str:
        text = f"{'<' if self.backwards else '>'}{self.created.timestamp():.6f} {self.job}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, query: QueryDict) -> Cursor | None:
        """The cursor of a query."""
        text = query.get("cursor")
        if text is None:
            return None
        try:
            plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
            created, _, job = plain[1:].partition(" ")
            if plain[:1] not in ("<", ">"):
                raise ValueError(plain)
            return cls(datetime.fromtimestamp(float(created), UTC), UUID(job), plain[0] == "<")
        except (binascii.Error, UnicodeError, ValueError, OverflowError, OSError):
            raise invalid_query("cursor", "it is none that this server has given") from None


def in_utc(moment: datetime | float | None) -> str | None:
    """A time as RFC 3339, in UTC."""
    if moment is None:
        return None
    found = datetime.fromtimestamp(moment, UTC) if isinstance(moment, int | float) else moment.astimezone(UTC)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def present(members: dict[str, Any]) -> dict[str, Any]:
    """The members that are there: what is absent is left out, never null."""
    return {name: value for name, value in members.items() if value is not None}
