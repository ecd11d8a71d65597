"""Writes who is connected to the database, behind: once a second, in batches, for the admin. Never in a message's path.

A server process is a node. Rows of nodes whose lease (`core/leases.py`) has run out are swept by whoever notices.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.db import DatabaseError, transaction
from django.db import connection as database
from django.db.models import Model

from streaming import models
from streaming.core.errors import StreamError

if TYPE_CHECKING:
    from streaming.topics.presence import Tracked

    from .connection import Peer
    from .runtime import Runtime

REVIEW_EVERY = 15
"""Writes between two looks at whether the connected users are still active."""

UPDATES = 200
"""Known connections whose counters are written anew each time, in turn: with more of them, each is written less often."""

PRESENCES = 5000
"""Members of topics that are written at a time; more wait for the next one."""

LONGEST_CONDITION = 2000
"""Characters and members of a condition that is shown in the admin."""

LONGEST_ID = 600
"""Characters of the id of a member of a topic."""

Row = TypeVar("Row", bound=Model)

NEVER = -1
"""The revision of a connection that has to be written as a whole."""

_CONNECTION_STATE = ("received", "sent", "queue_messages", "queue_bytes", "user")
_SUBSCRIPTION_COUNTERS = ("waiting", "lag", "dropped")
_SUBSCRIPTION_STATE = ("filter", *_SUBSCRIPTION_COUNTERS)
_PRESENCE_STATE = ("key", "meta")


@dataclass(slots=True)
class _Batch:
    """What there is to write. What there may be much of becomes rows where it is written, in a thread."""

    connections: list[models.Connection] = field(default_factory=list)
    subscriptions: list[Callable[[], models.Subscription]] = field(default_factory=list)
    counted_connections: list[tuple[Any, ...]] = field(default_factory=list)
    counted_subscriptions: list[tuple[Any, ...]] = field(default_factory=list)
    gone_connections: list[str] = field(default_factory=list)
    gone_subscriptions: list[str] = field(default_factory=list)
    presences: list[Callable[[], models.Presence]] = field(default_factory=list)
    gone_presences: list[str] = field(default_factory=list)


class Recorder:
    """One process's writer."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._node = runtime.hub.node
        self._started = datetime.now(UTC)
        self._known: dict[str, tuple[int, set[str]]] = {}  # connection -> revision and subscriptions as last written
        self._gone = _Batch()  # what ended and may still have rows
        self._present: dict[str, bytes] = {}  # members of topics as last written
        self._turns = 0

    async def write(self) -> None:
        """Write what has changed since the last time, sweep the dead."""
        dead = await self._runtime.leases.silent(await _other_nodes(self._node))
        batch = self._batch()
        kept, written = self._add_presences(batch)
        try:
            known = await _write(self._node_row(), batch, dead)
        except DatabaseError:
            self._known.update({row.id: (NEVER, self._known[row.id][1]) for row in batch.connections})
            raise
        self._present = {**kept, **written} if known else written
        if not known:
            self._known = {row.id: self._known[row.id] for row in batch.connections}
        self._gone = _Batch()
        self._turns += 1
        if self._turns % REVIEW_EVERY == 0:
            await self._review_users()

    async def farewell(self) -> None:
        """The process ends: its rows go."""
        await _remove_node(self._node)

    def _batch(self) -> _Batch:
        present = self._runtime.connections
        gone = [key for key in self._known if key not in present]
        for key in gone:
            del self._known[key]
        self._gone.gone_connections += gone
        batch = _Batch(gone_connections=self._gone.gone_connections, gone_subscriptions=self._gone.gone_subscriptions)
        stale = {key: None for key, (revision, _) in self._known.items() if present[key].session.revision != revision}
        in_turn = [key for key in islice(self._known, UPDATES) if key not in stale]
        for key in {**dict.fromkeys(present.keys() - self._known.keys()), **stale}:
            self._add(batch, present[key])
        for key in in_turn:
            self._count(batch, present[key])
        return batch

    def _add_presences(self, batch: _Batch) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """The members of topics that are new, different or gone; returns which others have rows, and which will have been written."""
        tracked = self._runtime.topics.presence.tracked
        changed = islice((key for key, member in tracked.items() if self._present.get(key) != member.value), PRESENCES)
        written = {key: tracked[key].value for key in changed}
        batch.presences = [partial(_presence_row, self._node, tracked[key]) for key in written]
        batch.gone_presences = [_text(key, LONGEST_ID) for key in self._present.keys() - tracked.keys()]
        return {key: value for key, value in self._present.items() if key in tracked}, written

    def _add(self, batch: _Batch, connection: Peer) -> None:
        batch.connections.append(self._connection_row(connection))
        described = connection.session.describe()
        batch.subscriptions += [partial(self._subscription_row, connection, subscription) for subscription in described]
        _, before = self._known.pop(connection.id, (0, set[str]()))
        now = {_subscription_id(connection, subscription) for subscription in described}
        batch.gone_subscriptions += before - now
        self._known[connection.id] = (connection.session.revision, now)  # now last in turn

    def _count(self, batch: _Batch, connection: Peer) -> None:
        """Only numbers have changed, which are written at a tenth of the cost."""
        outbox, lag = connection.outbox, self._runtime.hub.lag
        counted = (connection.received, outbox.sent, outbox.messages, outbox.bytes, connection.principal.username)
        batch.counted_connections.append((*counted, connection.id))
        for described in connection.session.describe():
            counters = (described["waiting"], lag(described["feed"]), described["dropped"])
            batch.counted_subscriptions.append((*counters, _subscription_id(connection, described)))
        self._known[connection.id] = self._known.pop(connection.id)  # now last in turn

    def _connection_row(self, connection: Peer) -> models.Connection:
        return models.Connection(
            id=connection.id,
            node_id=self._node,
            dialect=connection.session.dialect,
            user=connection.principal.username,
            address=connection.address,
            since=_time(connection.opened_at),
            received=connection.received,
            sent=connection.outbox.sent,
            queue_messages=connection.outbox.messages,
            queue_bytes=connection.outbox.bytes,
        )

    def _subscription_row(self, connection: Peer, described: dict[str, Any]) -> models.Subscription:
        return models.Subscription(
            id=_subscription_id(connection, described),
            connection_id=connection.id,
            subscription_id=described["id"],
            kind=described["kind"],
            feed=described["feed"],
            filter=_brief(described["filter"]),
            since=_time(described["since"]),
            waiting=described["waiting"],
            dropped=described["dropped"],
            lag=self._runtime.hub.lag(described["feed"]),
        )

    def _node_row(self) -> models.Node:
        return models.Node(id=self._node, host=socket.gethostname(), pid=os.getpid(), started=self._started, seen=datetime.now(UTC))

    async def _review_users(self) -> None:
        """Connections of users who were deactivated or deleted are ended; what the others may read is found out anew."""
        by_user: dict[int, list[Peer]] = {}
        for connection in self._runtime.connections.values():
            if connection.principal.user_id is not None:
                by_user.setdefault(connection.principal.user_id, []).append(connection)
        active = await _active_users(list(by_user))
        for user_id, connections in by_user.items():
            for connection in connections:
                if connection.principal.user_id != user_id:
                    continue  # it has authenticated as somebody else meanwhile
                if user_id in active:
                    connection.renew_user(active[user_id])
                else:
                    connection.expire(StreamError("token_invalid", "the user is no longer active"))


def _brief(conditions: dict[str, Any]) -> dict[str, Any]:
    """Conditions as far as a person reads them: what is long would be written again and again, and PostgreSQL knows no NUL."""
    brief = {name: value if _weight(value) <= LONGEST_CONDITION else "…" for name, value in conditions.items()}
    shown: dict[str, Any] = json.loads(json.dumps(brief).replace("\\u0000", ""))
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


def _subscription_id(connection: Peer, described: dict[str, Any]) -> str:
    return f"{connection.id}/{described['id']}"


def _presence_row(node: str, tracked: Tracked) -> models.Presence:
    member = tracked.member
    return models.Presence(
        id=_text(member.id, LONGEST_ID),
        node_id=node,
        connection_id=member.channel.connection.id if member.channel is not None else "",
        topic=member.topic,
        key=_text(tracked.key, 255),
        meta=_brief(tracked.meta),
        since=_time(member.since),
    )


def _text(text: str, length: int) -> str:
    """PostgreSQL knows no NUL, and long ids of clients have an end."""
    return text.replace("\0", "")[:length]


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# In threads of their own: where the database is locked they wait for long, and must not keep those waiting who ask it something.
_in_thread = partial(database_sync_to_async, thread_sensitive=False)


@_in_thread
def _other_nodes(node: str) -> list[str]:
    return list(models.Node.objects.exclude(pk=node).values_list("pk", flat=True))


@_in_thread
def _active_users(ids: list[int]) -> dict[int, Any]:
    return {user.pk: user for user in get_user_model()._default_manager.filter(pk__in=ids, is_active=True)}


@_in_thread
def _remove_node(node: str) -> None:
    models.Node.objects.filter(pk=node).delete()


@_in_thread
def _write(node: models.Node, batch: _Batch, dead: list[str]) -> bool:
    """Returns False if the node had no row any more: with it all others went that it had, and what they were has to be written anew."""
    with transaction.atomic():
        known = bool(models.Node.objects.filter(pk=node.pk).update(seen=node.seen))
        models.Node.objects.bulk_create([node], update_conflicts=True, unique_fields=["id"], update_fields=["seen"])
        models.Subscription.objects.filter(pk__in=batch.gone_subscriptions).delete()
        models.Connection.objects.filter(pk__in=batch.gone_connections).delete()
        models.Connection.objects.bulk_create(
            batch.connections, 500, update_conflicts=True, unique_fields=["id"], update_fields=_CONNECTION_STATE
        )
        models.Subscription.objects.bulk_create(
            _rows(batch.subscriptions), 500, update_conflicts=True, unique_fields=["id"], update_fields=_SUBSCRIPTION_STATE
        )
        _update(models.Connection, _CONNECTION_STATE, batch.counted_connections)
        _update(models.Subscription, _SUBSCRIPTION_COUNTERS, batch.counted_subscriptions)
        models.Presence.objects.filter(pk__in=batch.gone_presences).delete()
        models.Presence.objects.bulk_create(
            _rows(batch.presences), 500, update_conflicts=True, unique_fields=["id"], update_fields=_PRESENCE_STATE
        )
        models.Node.objects.filter(pk__in=dead).delete()
    return known


def _rows(makers: Iterable[Callable[[], Row]]) -> list[Row]:
    """Each once: PostgreSQL writes none twice at a time, and long ids were cut."""
    return list({row.pk: row for row in (make() for make in makers)}.values())


def _update(model: type[Model], fields: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
    """Rows of the fields' values and the key. By the ORM this takes ten times as long, in which the event loop waits."""
    if rows:
        quote = database.ops.quote_name
        columns = {field.name: str(field.column) for field in model._meta.concrete_fields}
        values = ", ".join(f"{quote(columns[name])} = %s" for name in fields)
        with database.cursor() as cursor:
            cursor.executemany(f"UPDATE {quote(model._meta.db_table)} SET {values} WHERE id = %s", rows)
