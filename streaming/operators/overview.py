"""What the dashboard on the admin's first page shows of who is connected: to begin with in the page, and then over its WebSocket."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse

from streaming.models import Connection

from .connection_list import may_look

TOP = 6
WORDS = {
    "unknown": "Waiting for the first report…",
    "bad": "Something is wrong.",
    "note": "All is well, with a note.",
    "good": "All is well.",
}


class Row(NamedTuple):
    """One of those who are connected."""

    name: str
    value: str
    address: str


def overview(request: HttpRequest) -> dict[str, Any]:
    """What `streaming/overview.html` needs from the database. Redis is not asked: whether it answers is told on the WebSocket."""
    return {"connected": connected() if may_look(request.user) else ()}


def connected() -> list[tuple[str, list[Row]]]:
    """Who is connected, those first who have the most: by user, by address, and the clients for whom the most waits."""
    every = Connection.objects.all()
    waiting = every.filter(queue_messages__gt=0).order_by("-queue_bytes")[:TOP]
    slow = [Row(row.user or row.address, f"{row.queue_messages:,} ({filesizeformat(row.queue_bytes)})", _list(q=row.pk)) for row in waiting]
    return [
        ("Connections by user", _most(every, "user", "anonymous")),
        ("Connections by address", _most(every, "address", "unknown")),
        ("Clients that are slow", slow),
    ]


def _most(rows: QuerySet[Connection], column: str, nobody: str) -> list[Row]:
    counted = rows.values(column).annotate(number=Count("pk")).order_by("-number", column)[:TOP]
    return [Row(each[column] or nobody, f"{each['number']:,}", _list(q=each[column])) for each in counted]


def _list(**query: str) -> str:
    return f"{reverse('admin:streaming_connection_changelist')}?{urlencode(query)}"
