"""The list of connections as the page shows it: a page of rows, what they are subscribed to, and the boxes of all that match.

It is read from the tables that the recorder writes, with as many queries for ten thousand connections as for ten. For threads.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from django.contrib.auth import get_user_model
from django.db.models import Count, Max, Q, QuerySet, Sum

from streaming.models import Connection, Node, Subscription

PAGE = 50
MOST_BOXES = 500
SUBSCRIPTIONS = 20
"""Of one connection that are listed."""
MAX_TEXT = 200

_ORDERS = {
    "newest": ("-since", "id"),
    "oldest": ("since", "id"),
    "queue": ("-queue_bytes", "-since"),
    "sent": ("-sent", "-since"),
    "received": ("-received", "-since"),
}
_SHOWN = ("id", "dialect", "format", "user", "address", "user_agent", "received", "sent", "queue_messages", "queue_bytes")


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator looks at. `find` is in the user, the address, the user agent, the id or a feed."""

    find: str = ""
    dialect: str = ""
    node: str = ""
    order: Literal["newest", "oldest", "queue", "sent", "received"] = "newest"
    page: int = 0


def may_look(user: Any) -> bool:
    """Whether somebody may see connections, as the database has it now."""
    fresh = None if user.pk is None else get_user_model()._default_manager.filter(pk=user.pk, is_staff=True, is_active=True).first()
    return fresh is not None and any(fresh.has_perm(f"streaming.{verb}_connection") for verb in ("view", "change", "delete"))


def listed(wanted: Wanted) -> dict[str, Any]:
    """A page of connections."""
    matching = _matching(wanted)
    count = matching.count()
    page = max(min(wanted.page, (count - 1) // PAGE), 0)
    rows = list(matching.select_related("node").order_by(*_ORDERS[wanted.order])[page * PAGE : (page + 1) * PAGE])
    ids = [row.id for row in rows]
    totals = {row["connection"]: row for row in _totals(ids)}
    subscriptions = _subscriptions(ids)
    boxes = _boxes(matching)
    return {
        "count": count,
        "page": page,
        "pages": max((count + PAGE - 1) // PAGE, 1),
        "rows": [_row(row, totals.get(row.id, {}), subscriptions.get(row.id, [])) for row in rows],
        "boxes": boxes[:MOST_BOXES],
        "more_boxes": len(boxes) > MOST_BOXES,
        "nodes": [{"id": node.id, "name": str(node)} for node in Node.objects.all()],
    }


def _matching(wanted: Wanted) -> QuerySet[Connection]:
    rows = Connection.objects.all()
    if dialect := wanted.dialect.replace("\0", ""):
        rows = rows.filter(dialect=dialect)
    if node := wanted.node.replace("\0", ""):
        rows = rows.filter(node_id=node)
    if find := wanted.find[:MAX_TEXT].replace("\0", "").strip():
        feeds = Subscription.objects.filter(feed__icontains=find).values("connection")
        rows = rows.filter(
            Q(user__icontains=find) | Q(address__icontains=find) | Q(user_agent__icontains=find) | Q(id=find) | Q(id__in=feeds)
        )
    return rows


def _totals(ids: list[str]) -> QuerySet[Any, Any]:
    rows = Subscription.objects.filter(connection__in=ids).order_by().values("connection")
    return rows.annotate(subscriptions=Count("id"), lag=Max("lag"), dropped=Sum("dropped"))


def _subscriptions(ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in Subscription.objects.filter(connection__in=ids).order_by("since", "id")[: PAGE * SUBSCRIPTIONS]:
        of_one = found.setdefault(row.connection_id, [])
        if len(of_one) < SUBSCRIPTIONS:
            of_one.append(
                {
                    "id": row.subscription_id,
                    "kind": row.kind,
                    "feed": row.feed,
                    "filter": row.filter,
                    "since": row.since.timestamp(),
                    "waiting": row.waiting,
                    "lag": row.lag,
                    "dropped": row.dropped,
                }
            )
    return found


def _boxes(matching: QuerySet[Connection]) -> list[dict[str, Any]]:
    rows = Subscription.objects.filter(west__isnull=False, connection__in=matching).order_by("-since")
    return [
        {"connection": row["connection"], "subscription": row["subscription_id"], "feed": row["feed"], "user": row["connection__user"]}
        | {"box": [row["west"], row["south"], row["east"], row["north"]]}
        for row in rows.values("connection", "subscription_id", "feed", "connection__user", "west", "south", "east", "north")[
            : MOST_BOXES + 1
        ]
    ]


def _row(row: Connection, totals: dict[str, Any], subscriptions: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in _SHOWN},
        "since": row.since.timestamp(),
        "node": str(row.node),
        "subscription_count": totals.get("subscriptions", 0),
        "lag": totals.get("lag") or 0,
        "dropped": totals.get("dropped") or 0,
        "subscriptions": subscriptions,
    }
