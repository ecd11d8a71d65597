"""The connection registry: who is connected to this process, within which limits, and how many were."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from streaming.core.errors import CloseCode, StreamError
from streaming.core.histogram import Histogram

from .addresses import network
from .auth import Principal
from .bans import BanList, refusal
from .conf import conf

if TYPE_CHECKING:
    from .client_connection import ClientConnection

LIMITS = ("process", "address", "user", "ban", "handshake")
"""Why connections, and requests of who is banned, are refused: whose number of them is limited, who is banned, and who took too long."""
CLOSED_BY_CLIENT = "client"
"""What is counted instead of the name of a close code where the client left."""
TICK_SLICE = 500
"""Connections looked at before others have a turn."""
REVIEWED = 100
"""Connections that find out anew what they may read before others have a turn: some hundredths of a millisecond each."""


class ConnectionRegistry:
    """The open connections of one process by id, in the order in which they were opened."""

    def __init__(self, node: str) -> None:
        self.open: dict[str, ClientConnection] = {}
        self.past_received: Counter[str] = Counter()  # messages of connections that are gone, by dialect
        self.past_sent: Counter[str] = Counter()
        self.past_received_bytes: Counter[str] = Counter()
        self.past_sent_bytes: Counter[str] = Counter()
        self.endings: Counter[tuple[str, str]] = Counter()  # connections that ended, by dialect and name of the close code
        self.latency: defaultdict[str, Histogram] = defaultdict(Histogram)  # seconds until changes were handed to sockets, by dialect
        self.refused: Counter[str] = Counter()  # connections, by the limit (`LIMITS`)
        self.slowed = 0  # messages that had to wait because their client sent too many
        self.bans = BanList()
        self._node = node
        self._per_address: Counter[str] = Counter()
        self._per_user: Counter[int] = Counter()
        self._numbers = 0

    def admit(self, address: str, principal: Principal | None = None) -> None:
        """`StreamError`: too_many_connections if there is no room for one more; banned."""
        self.refuse_banned(address, None if principal is None else principal.user_id)
        if len(self.open) >= conf.MAX_CONNECTIONS:
            raise self._full("process", "this server has as many connections as it may")
        if self._per_address[network(address)] >= conf.MAX_CONNECTIONS_PER_ADDRESS:
            raise self._full("address", "your address has as many connections as it may")
        if principal is not None:
            self._admit_user(principal)

    def refuse_banned(self, address: str, user_id: int | None) -> None:
        """`StreamError("banned")` for a user, or whoever is at an address, that is banned."""
        ban = self.bans.of(address, user_id)
        if ban is not None:
            self.refused["ban"] += 1
            raise refusal(ban)

    def reassign(self, connection: ClientConnection, principal: Principal) -> None:
        """An open connection acts for somebody else from now on. `StreamError`: too_many_connections, banned."""
        self.refuse_banned(connection.address, principal.user_id)
        before, now = connection.principal.user_id, principal.user_id
        if before != now:
            self._admit_user(principal)
            _decrement(self._per_user, before)
            if now is not None:
                self._per_user[now] += 1
        connection.principal = principal

    def add(self, connection: ClientConnection) -> str:
        """A connection was accepted; returns its id."""
        self._numbers += 1
        connection_id = f"{self._node}.{self._numbers}"
        self.open[connection_id] = connection
        self._per_address[network(connection.address)] += 1
        if connection.principal.user_id is not None:
            self._per_user[connection.principal.user_id] += 1
        return connection_id

    def ending(self, connection: ClientConnection, code: CloseCode | None) -> None:
        """A connection is closed with a code or, without one, by its client."""
        self.endings[connection.session.dialect, CLOSED_BY_CLIENT if code is None else code.name.lower()] += 1

    def remove(self, connection: ClientConnection) -> None:
        """A connection is gone."""
        del self.open[connection.id]
        self.past_received[connection.session.dialect] += connection.received
        self.past_sent[connection.session.dialect] += connection.outbox.sent
        _decrement(self._per_address, network(connection.address))
        self.past_received_bytes[connection.session.dialect] += connection.received_bytes
        self.past_sent_bytes[connection.session.dialect] += connection.sender.written
        _decrement(self._per_user, connection.principal.user_id)

    def disconnect(self, connection_id: str) -> None:
        """Close a connection for an operator, if it is one of this process."""
        connection = self.open.get(connection_id)
        if connection is not None:
            connection.close(CloseCode.DISCONNECTED, "disconnected by an operator")

    def end_banned(self) -> None:
        """Close the connections of those who are banned now."""
        if not len(self.bans):
            return
        for connection in list(self.open.values()):
            ban = self.bans.of(connection.address, connection.principal.user_id)
            if ban is not None and not connection.closing:
                reason = refusal(ban)
                connection.session.expire(reason)
                connection.close(CloseCode.BANNED, reason.message)

    async def access_changed(self) -> None:
        """Every client is to find out anew what it may read: some of them in each turn of the loop."""
        for count, connection in enumerate(list(self.open.values())):
            if count % REVIEWED == REVIEWED - 1:
                await asyncio.sleep(0)
            connection.session.access_changed()

    async def tick(self) -> None:
        """Once a second: close who is slow, silent, idle or expired."""
        loop = asyncio.get_running_loop()
        for count, connection in enumerate(list(self.open.values())):
            if count % TICK_SLICE == TICK_SLICE - 1:
                await asyncio.sleep(0)
            connection.tick(time.monotonic(), loop.time())

    def _admit_user(self, principal: Principal) -> None:
        if principal.user_id is not None and self._per_user[principal.user_id] >= conf.MAX_CONNECTIONS_PER_USER:
            raise self._full("user", "you have as many connections as you may")

    def _full(self, limit: str, message: str) -> StreamError:
        self.refused[limit] += 1
        return StreamError("too_many_connections", message)


def _decrement(counts: Counter[Any], key: Hashable) -> None:
    """One fewer; what is down to none is forgotten."""
    if counts[key] > 1:
        counts[key] -= 1
    else:
        del counts[key]
