"""The life of one client's connection, once for all dialects: who it is, what waits for it, when it is slow, idle or expired."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, ClassVar

from streaming.core.errors import CloseCode, StreamError
from streaming.core.limits import OutboxLimits
from streaming.core.loop_watch import loop_watch
from streaming.core.outbox import Outbox

from .auth import Principal
from .conf import conf
from .log_context import log_context
from .senders import AnySender
from .session import Session

if TYPE_CHECKING:
    from .runtime import Runtime

logger = logging.getLogger(__name__)

TURN_SECONDS = 0.005
"""Time that one client's messages may take before others have a turn."""
MOST_REST_SECONDS = 1.0


class ClientConnection:
    """One client, by whichever transport. Subclasses name the dialect's session, make a sender and read what comes.

    Sending never waits here; that is the outbox.
    """

    session_class: ClassVar[type[Session]]
    close_codes: ClassVar[Mapping[CloseCode, int]] = {}
    """What this dialect's clients know instead of our close codes."""
    channel_token: str | None = None
    """A token for topics that came with the connection."""

    user_agent: str = ""
    """What the client says that it is."""
    address: str
    runtime: Runtime
    principal: Principal

    def __init__(self) -> None:
        self.id = ""
        self.closing = False
        self.name = token_urlsafe(6)
        """Eight characters that clients may know it by."""

    def close(self, code: CloseCode, reason: str) -> None:
        """End the connection; the reason reaches the client."""
        if not self.closing:
            self.closing = True
            self.runtime.connections.ending(self, code)
            self.sender.close(self.close_codes.get(code, code), reason[:120])

    def tick(self, now: float, loop_time: float) -> None:
        """Once a second: slow, silent, idle, expired?"""
        if self.closing:
            return
        self.outbox.check(now)
        self.session.tick(time.time())
        if self.principal.expired:
            self.expire(StreamError("token_expired", "the token has expired"))
        else:
            self._keep_alive(loop_time)
        if self._never_spoke(now):
            self.runtime.connections.refused["handshake"] += 1
            self.close(CloseCode.HANDSHAKE_TIMEOUT, "nothing was received since you connected")
        elif self._is_idle(now, loop_time):
            self.close(CloseCode.IDLE, "nothing was received for too long")

    def expire(self, reason: StreamError) -> None:
        """The principal may no longer be here."""
        self.session.expire(reason)
        self.close(CloseCode.UNAUTHENTICATED, reason.message)

    def renew_user(self, user: Any) -> None:
        """The same user, without what was remembered of their permissions."""
        self.principal = replace(self.principal, user=user)
        self.session.access_changed()

    def _open(self, sender: AnySender) -> None:
        self.sender = sender
        self.outbox = Outbox(sender, _outbox_limits(), self._slow, self.runtime.hub.turns)
        self.opened_at = time.time()
        self.received_at = time.monotonic()
        self.received = self.received_bytes = 0
        self._taken = 0.0
        self.session = type(self).session_class(self)
        self.outbox.latency = self.runtime.connections.latency[self.session.dialect]
        self.id = self.runtime.connections.add(self)
        context = log_context()
        if context is not None:
            context.connection = self

    def _slow(self, why: str) -> None:
        self.close(CloseCode.SLOW, why)

    def _gone(self) -> None:
        """Once, even if it is called again."""
        if self.id not in self.runtime.connections.open:
            return
        if not self.closing:
            self.runtime.connections.ending(self, None)
        self.closing = True
        self.session.close()
        self.runtime.connections.remove(self)
        self.sender.detach()
        self.outbox.on_slow = _ignore  # what refers to itself would stay until the next search for garbage

    def _never_spoke(self, now: float) -> bool:
        """Whether nobody in particular has connected, and sent nothing since."""
        silent = not self.received and bool(conf.HANDSHAKE_SECONDS) and now - self.received_at > conf.HANDSHAKE_SECONDS
        return silent and self.principal.user_id is None

    def _keep_alive(self, loop_time: float) -> None:
        """Find out whether the client is still there."""

    def _is_idle(self, now: float, loop_time: float) -> bool:
        """Whether it has been silent for too long."""
        return False

    async def _handle(self, data: str | bytes) -> None:
        """Handle one message. If that took long, pause for as long: others have a turn before the next one."""
        began = time.monotonic()
        try:
            await loop_watch.watch(self.session.receive(data), self._took_long)
        except Exception:
            logger.exception("a %s message could not be handled", self.session.dialect)
            self.session.expire(StreamError("internal", "the server failed to handle a message"))
        self._taken += time.monotonic() - began
        if self._taken > TURN_SECONDS:
            taken, self._taken = self._taken, 0.0
            await asyncio.sleep(min(taken, MOST_REST_SECONDS))

    def _took_long(self, seconds: float) -> None:
        loop_watch.took(seconds, self.session.dialect, getattr(self.session, "handling", "message"), f"connection {self.id}")


_limits = lru_cache(maxsize=8)(OutboxLimits)
"""The same object for all connections."""


def _ignore(reason: str) -> None:
    """A connection that is gone cannot be slow."""


def _outbox_limits() -> OutboxLimits:
    return _limits(
        messages=conf.OUTBOX_MESSAGES,
        bytes=conf.OUTBOX_BYTES,
        slow_seconds=conf.SLOW_SECONDS,
        stalled_seconds=conf.STALLED_SECONDS,
        events=conf.EVENTS_WAITING,
    )
