"""Writes connections and subscriptions to the database for the admin: changes only, once a second, in batches, never in a message's path.

A server process is a node. Rows of nodes whose lease (`core/leases.py`) has run out are swept by the process that notices.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, Any

from channels.db import database_sync_to_async
from django.db import DatabaseError, transaction
from django.db import connection as database
from django.db.models import Model

from streaming import models
from streaming.core.errors import StreamError

from .conf import conf
from .filter_bounds import filter_bounds
from .rows import brief, distinct_rows, remove_rows, short_text, utc
from .service import Service, TableWriter
from .session import HasFormat, SubscriptionRow

if TYPE_CHECKING:
    from .client_connection import ClientConnection
    from .runtime import Runtime

logger = logging.getLogger(__name__)

SEEN_SECONDS = 5.0
"""How often a process of which nothing has changed updates the time at which it was seen, and looks for the rows of dead ones."""

UPDATES = 200
"""Known connections whose counters are written anew each time, in turn: with more of them, each is written less often."""

ADDED = 100
"""Connections that are new, or look at something else, whose rows are made at once: after a restart thousands come within a second."""

NEVER = -1
"""The revision of a connection that has to be written as a whole."""

_COUNTED = ("received", "sent", "queue_messages", "queue_bytes", "user")
_CONNECTION_STATE = (*_COUNTED, "format")
_SUBSCRIPTION_COUNTERS = ("waiting", "lag", "dropped")
_BOUNDS = ("west", "south", "east", "north")
_SUBSCRIPTION_STATE = ("filter", *_BOUNDS, *_SUBSCRIPTION_COUNTERS)


@dataclass(slots=True)
class _Batch:
    """What there is to write. What there may be much of becomes rows where it is written, in a thread."""

    connections: list[models.Connection] = field(default_factory=list)
    subscriptions: list[Callable[[], models.Subscription]] = field(default_factory=list)
    counted_connections: list[tuple[Any, ...]] = field(default_factory=list)
    counted_subscriptions: list[tuple[Any, ...]] = field(default_factory=list)
    gone_connections: list[str] = field(default_factory=list)
    gone_subscriptions: list[str] = field(default_factory=list)
    writers: list[TableWriter] = field(default_factory=list)
    writers_changed: bool = False
    is_last: bool = True
    """Whether nothing else is to be written now."""

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to write."""
        written = (self.connections, self.subscriptions, self.counted_connections, self.counted_subscriptions)
        return self.writers_changed or any(written) or bool(self.gone_connections or self.gone_subscriptions)


class Recorder(Service):
    """Writes the rows of one process, with those that other services have."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._node = runtime.hub.node
        self._started = datetime.now(UTC)
        self._known: dict[str, tuple[int, set[str]]] = {}  # connection -> revision and subscriptions as last written
        self._counted: dict[str, tuple[Any, ...]] = {}  # connection -> numbers as last written, if nothing waited or was to come
        self._gone = _Batch()  # what ended and may still have rows
        self._not_described = set[str]()  # dialects
        self._seen_at = -inf
        self._writing = asyncio.Lock()
        self._ended = False

    async def start(self) -> None:
        """Keep up again and again, unless `GEOSTREAM_RECORD_SECONDS` is 0."""
        if conf.RECORD_SECONDS:
            self.runtime.hub.every(conf.RECORD_SECONDS, self.keep_up)

    async def keep_up(self) -> None:
        """Write if anything has changed; if not, update now and then the time at which this process was seen, and look for dead ones."""
        async with self._writing:
            if self._ended:
                return
            batch = self._batch()
            if batch.has_changes or (self._is_due and await self._update_seen()):
                await self._write_all(batch)

    async def write(self) -> None:
        """Write what has changed since the last time, sweep the dead."""
        async with self._writing:
            if not self._ended:
                await self._write_all(self._batch())

    async def stop(self) -> None:
        """Delete the rows of this process."""
        async with self._writing:
            self._ended = True
            await _remove_node(self._node)

    @property
    def _is_due(self) -> bool:
        return bool(time.monotonic() - self._seen_at > SEEN_SECONDS - conf.RECORD_SECONDS / 2)

    async def _update_seen(self) -> bool:
        """Update the time at which this process was seen. Returns whether there is more to write: no row of its own, or dead ones."""
        self._seen_at = time.monotonic()
        others = await _update_seen(self._node)
        return others is None or bool(await self.runtime.leases.silent(others))

    async def _write_all(self, batch: _Batch) -> None:
        await self._write(batch)
        while not batch.is_last:
            batch = self._batch(updates=0)
            await self._write(batch)

    async def _write(self, batch: _Batch) -> None:
        self._seen_at = time.monotonic()
        try:
            dead = await self.runtime.leases.silent(await _other_nodes(self._node))
            known = await _write(self._node_row(), batch, dead, batch.writers)
        except (DatabaseError, StreamError):
            self._known.update({row.id: (NEVER, self._known[row.id][1]) for row in batch.connections})
            self._counted.clear()
            raise
        for writer in batch.writers:
            writer.settle(known)
        if not known:
            self._known = {row.id: self._known[row.id] for row in batch.connections}
            self._counted.clear()
        self._gone = _Batch()

    def _batch(self, updates: int | None = None) -> _Batch:
        """What there is to write, or the first of it; the counters of so many known connections."""
        present = self.runtime.connections.open
        gone = [key for key in self._known if key not in present]
        for key in gone:
            del self._known[key]
            self._counted.pop(key, None)
        self._gone.gone_connections += gone
        batch = _Batch(gone_connections=self._gone.gone_connections, gone_subscriptions=self._gone.gone_subscriptions)
        stale = {key: None for key, (revision, _) in self._known.items() if present[key].session.revision != revision}
        in_turn = [key for key in islice(self._known, UPDATES if updates is None else updates) if key not in stale]
        to_add = {**dict.fromkeys(present.keys() - self._known.keys()), **stale}
        batch.is_last = len(to_add) <= ADDED
        for key in islice(to_add, ADDED):
            self._add(batch, present[key])
        lagging = any(map(self.runtime.hub.lag, self.runtime.hub.followers))
        for key in in_turn:
            self._count(batch, present[key], lagging)
        batch.writers = [writer for service in self.runtime.services if (writer := service.table_writer()) is not None]
        for writer in batch.writers:
            batch.writers_changed |= writer.gather(self._node)
        return batch

    def _add(self, batch: _Batch, connection: ClientConnection) -> None:
        batch.connections.append(self._connection_row(connection))
        described = self._described(connection)
        batch.subscriptions += [partial(self._subscription_row, connection, subscription) for subscription in described]
        _, before = self._known.pop(connection.id, (0, set[str]()))
        now = {_subscription_id(connection, subscription) for subscription in described}
        batch.gone_subscriptions += before - now
        self._known[connection.id] = (connection.session.revision, now)  # now last in turn

    def _count(self, batch: _Batch, connection: ClientConnection, lagging: bool) -> None:
        """Only numbers have changed, which are written at a tenth of the cost; of a connection at rest, none of them."""
        self._known[connection.id] = self._known.pop(connection.id)  # now last in turn
        outbox, lag = connection.outbox, self.runtime.hub.lag
        counted = (connection.received, outbox.sent, outbox.messages, outbox.bytes, connection.principal.username)
        if self._counted.get(connection.id) == counted and not lagging:
            return
        batch.counted_connections.append((*counted, connection.id))
        for described in self._described(connection):
            counters = (described.waiting, lag(described.feed), described.dropped)
            batch.counted_subscriptions.append((*counters, _subscription_id(connection, described)))
        if outbox.idle and not lagging:
            self._counted[connection.id] = counted
        else:
            self._counted.pop(connection.id, None)

    def _described(self, connection: ClientConnection) -> list[SubscriptionRow]:
        """A session that cannot be described costs nobody else a row."""
        session = connection.session
        try:
            return [SubscriptionRow(**row) for row in session.describe()]
        except Exception:
            if session.dialect not in self._not_described:
                self._not_described.add(session.dialect)
                logger.exception("the subscriptions of %s clients cannot be recorded", session.dialect)
            return []

    def _connection_row(self, connection: ClientConnection) -> models.Connection:
        return models.Connection(
            id=connection.id,
            node_id=self._node,
            dialect=connection.session.dialect,
            user=connection.principal.username,
            format=short_text(connection.session.format, 40) if isinstance(connection.session, HasFormat) else "",
            address=connection.address,
            user_agent=short_text(connection.user_agent, 200),
            since=utc(connection.opened_at),
            received=connection.received,
            sent=connection.outbox.sent,
            queue_messages=connection.outbox.messages,
            queue_bytes=connection.outbox.bytes,
        )

    def _subscription_row(self, connection: ClientConnection, described: SubscriptionRow) -> models.Subscription:
        bounds = filter_bounds(described.filter) or (None,) * len(_BOUNDS)
        return models.Subscription(
            id=_subscription_id(connection, described),
            connection_id=connection.id,
            subscription_id=described.id,
            kind=described.kind,
            feed=described.feed,
            filter=brief(described.filter),
            since=utc(connection.opened_at if described.since is None else described.since),
            waiting=described.waiting,
            dropped=described.dropped,
            lag=self.runtime.hub.lag(described.feed),
            **dict(zip(_BOUNDS, bounds, strict=True)),
        )

    def _node_row(self) -> models.Node:
        return models.Node(id=self._node, host=socket.gethostname(), pid=os.getpid(), started=self._started, seen=datetime.now(UTC))


def _subscription_id(connection: ClientConnection, described: SubscriptionRow) -> str:
    return f"{connection.id}/{described.id}"


# In threads of their own: where the database is locked they wait for long, and must not keep those waiting who ask it something.
_in_thread = partial(database_sync_to_async, thread_sensitive=False)


@_in_thread
def _other_nodes(node: str) -> list[str]:
    return list(models.Node.objects.exclude(pk=node).values_list("pk", flat=True))


@_in_thread
def _update_seen(node: str) -> list[str] | None:
    """Write the time at which a node was seen. Returns the other nodes; None if this one has no row."""
    known = models.Node.objects.filter(pk=node).update(seen=datetime.now(UTC))
    return list(models.Node.objects.exclude(pk=node).values_list("pk", flat=True)) if known else None


@_in_thread
def _remove_node(node: str) -> None:
    models.Node.objects.filter(pk=node).delete()


@_in_thread
def _write(node: models.Node, batch: _Batch, dead: list[str], writers: Sequence[TableWriter]) -> bool:
    """Returns False if the node had no row any more: with it all others went that it had, and what they were has to be written anew."""
    with transaction.atomic():
        known = bool(models.Node.objects.filter(pk=node.pk).update(seen=node.seen))
        if not known:
            models.Node.objects.bulk_create([node], update_conflicts=True, unique_fields=["id"], update_fields=["seen"])
        remove_rows(models.Subscription, batch.gone_subscriptions)
        remove_rows(models.Connection, batch.gone_connections)
        models.Connection.objects.bulk_create(
            batch.connections, 500, update_conflicts=True, unique_fields=["id"], update_fields=_CONNECTION_STATE
        )
        models.Subscription.objects.bulk_create(
            distinct_rows(batch.subscriptions), 500, update_conflicts=True, unique_fields=["id"], update_fields=_SUBSCRIPTION_STATE
        )
        _update(models.Connection, _COUNTED, batch.counted_connections)
        _update(models.Subscription, _SUBSCRIPTION_COUNTERS, batch.counted_subscriptions)
        for writer in writers:
            writer.write()
        remove_rows(models.Node, dead)
    return known


def _update(model: type[Model], fields: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
    """Rows of the fields' values and the key. By the ORM this takes ten times as long, in which the event loop waits."""
    if rows:
        quote = database.ops.quote_name
        columns = {field.name: str(field.column) for field in model._meta.concrete_fields}
        values = ", ".join(f"{quote(columns[name])} = %s" for name in fields)
        with database.cursor() as cursor:
            cursor.executemany(f"UPDATE {quote(model._meta.db_table)} SET {values} WHERE id = %s", rows)
