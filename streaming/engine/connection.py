"""The life of a connection, once for all dialects: accept, authenticate, read, limit, keep alive, close.

`Peer` is one client, whichever way it comes; `Connection` is one that comes by WebSocket: a Channels consumer without a channel layer of
its own (the process's hub has one) and without Channels' thread hop per message: `__call__` is the read loop. Sending never waits here;
that is the outbox. A dialect is a `Session`: it is given frames and owns the subscriptions.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from secrets import token_urlsafe
from typing import Any, ClassVar, Protocol

from channels.consumer import AsyncConsumer
from django.db import DatabaseError

from streaming.core.errors import CloseCode, StreamError
from streaming.core.limits import OutboxLimits
from streaming.core.outbox import Outbox

from .auth import Principal, authenticate
from .conf import conf
from .metrics import BY_CLIENT
from .runtime import Runtime, get_runtime
from .senders import RAW_EXTENSION, AnySender, AsgiSender, RawSender

logger = logging.getLogger(__name__)

BYTES_PER_MESSAGE = 16 * 1024
"""So many bytes of a long message count as one more against the rate limit."""

TURN_SECONDS = 0.005
"""Time that one client's messages may take before others have a turn."""
MOST_REST_SECONDS = 1.0


class Session(Protocol):
    """One client as its dialect sees it."""

    dialect: ClassVar[str]
    spare_pings: bool
    revision: int

    def __init__(self, connection: Any) -> None:
        """Begin with a peer that was just accepted."""

    async def receive(self, data: str | bytes) -> None:
        """Handle one frame. Refusals are answered, not raised."""

    def describe(self) -> list[dict[str, Any]]:
        """The subscriptions, for the admin: id, kind, feed, filter, created, delivered, dropped, lag."""

    def tick(self, now: float) -> None:
        """Once a second. `now` is seconds since 1970."""

    def layers_changed(self) -> None:
        """Look anew at what may be read: layers or the user have changed."""

    def expire(self, reason: StreamError) -> None:
        """Say that the connection will be closed because it may no longer be here."""

    def close(self) -> None:
        """Leave everything; the connection is gone."""


class Peer:
    """One client: who it is, what waits for it, what it subscribed to. Subclasses name the dialect's session."""

    session_class: ClassVar[type[Session]]
    close_codes: ClassVar[Mapping[CloseCode, int]] = {}
    """What this dialect's clients know instead of our close codes."""
    channel_token: str | None = None
    """A token for topics that came with the connection."""

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
            self.runtime.endings[self.session.dialect, code.name.lower()] += 1
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
        if self._is_idle(now, loop_time):
            self.close(CloseCode.IDLE, "nothing was heard for too long")

    def expire(self, reason: StreamError) -> None:
        """The principal may no longer be here."""
        self.session.expire(reason)
        self.close(CloseCode.UNAUTHENTICATED, reason.message)

    def renew_user(self, user: Any) -> None:
        """The same user, without what was remembered of their permissions."""
        self.principal = replace(self.principal, user=user)
        self.session.layers_changed()

    def _open(self, sender: AnySender) -> None:
        self.sender = sender
        self.outbox = Outbox(sender, _outbox_limits(), lambda why: self.close(CloseCode.SLOW, why))
        self.opened_at = time.time()
        self.received_at = time.monotonic()
        self.received = 0
        self._taken = 0.0
        self.session = type(self).session_class(self)
        self.runtime.opened(self)

    def _gone(self) -> None:
        if not self.closing:
            self.runtime.endings[self.session.dialect, BY_CLIENT] += 1
        self.closing = True
        self.session.close()
        self.runtime.closed(self)
        self.sender.detach()

    def _keep_alive(self, loop_time: float) -> None:
        """Find out whether the client is still there."""

    def _is_idle(self, now: float, loop_time: float) -> bool:
        """Whether it has been silent for too long."""
        return False

    async def _handle(self, data: str | bytes) -> None:
        """Handle one message. Reading the next may not wait, if more has arrived: whoever took long rests as long."""
        began = time.monotonic()
        try:
            await self.session.receive(data)
        except Exception:
            logger.exception("a %s message could not be handled", self.session.dialect)
            self.session.expire(StreamError("internal", "the server failed to handle a message"))
        self._taken += time.monotonic() - began
        if self._taken > TURN_SECONDS:
            taken, self._taken = self._taken, 0.0
            await asyncio.sleep(min(taken, MOST_REST_SECONDS))


class Pace:
    """How fast one client's messages are handled: a leaky bucket."""

    def __init__(self) -> None:
        self._rate, self._burst = conf.MESSAGES_PER_SECOND, conf.MESSAGES_BURST
        self._allowed_at = 0.0  # when the next message would be due at the steady rate

    async def wait(self, size: int) -> None:
        """Take one message of `size` bytes; the rest is handled later."""
        now = time.monotonic()
        self._allowed_at = max(self._allowed_at, now - self._burst / self._rate) + (1 + size / BYTES_PER_MESSAGE) / self._rate
        if self._allowed_at > now:
            await asyncio.sleep(self._allowed_at - now)


class Refusal(Exception):
    """A WebSocket that is not opened at all: an HTTP status instead."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Connection(Peer, AsyncConsumer):  # type: ignore[misc]  # untyped upstream
    """One WebSocket."""

    channel_layer_alias = None

    async def __call__(self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        self.scope = scope
        client = scope.get("client")
        self.address = client[0] if client else ""
        await receive()  # websocket.connect
        try:
            accept = {"type": "websocket.accept", **self.negotiate()}
            self.runtime = await get_runtime()
            self.runtime.admit(self.address)
            self.principal = await self.authenticate()
            self.runtime.admit(self.address, self.principal)  # again: others came meanwhile
        except Refusal as refusal:
            await deny(send, scope, refusal)
            return
        except StreamError as error:
            await self.refuse(send, error)
            return
        except DatabaseError as error:
            logger.error("a WebSocket could not be authenticated: %s", error)
            await self.refuse(send, StreamError("internal", "the database does not answer; try again"))
            return
        await send(accept)
        raw = scope.get("extensions", {}).get(RAW_EXTENSION)
        self._open(RawSender(raw) if raw is not None else AsgiSender(send))
        try:
            await self._read(receive)
        finally:
            self._gone()

    # -- what dialects may do otherwise -----------------------------------

    @property
    def most_bytes(self) -> int:
        """Of one message."""
        return int(conf.MAX_MESSAGE_BYTES)

    def negotiate(self) -> dict[str, Any]:
        """What is said when accepting. `Refusal` if this cannot become a connection of the dialect."""
        return {}

    async def authenticate(self) -> Principal:
        """Who asks. `StreamError` or `Refusal`."""
        return await authenticate(self.scope)

    async def refuse(self, send: Any, error: StreamError) -> None:
        """Accept, so that the client can read the code, and close."""
        logger.info("WebSocket refused: %s", error)
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": _CLOSE_CODES.get(error.code, CloseCode.OVERLOADED), "reason": error.message[:120]})

    # -- the socket --------------------------------------------------------

    def _open(self, sender: AnySender) -> None:
        self._pinged_at: float | None = None
        self._ping_seconds, self._ping_timeout, self._idle_seconds = conf.PING_SECONDS, conf.PING_TIMEOUT_SECONDS, conf.IDLE_SECONDS
        super()._open(sender)

    async def _read(self, receive: Callable[[], Awaitable[Any]]) -> None:
        pace, most = Pace(), self.most_bytes
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            if self.closing:
                continue
            data = message.get("text")
            if data is None:
                data = message["bytes"]
            self.received += 1
            self.received_at = time.monotonic()
            await pace.wait(len(data))
            if len(data) > most:
                self.close(CloseCode.TOO_BIG, f"messages may have {most} bytes")
                continue
            await self._handle(data)

    def _keep_alive(self, loop_time: float) -> None:
        if not isinstance(self.sender, RawSender) or self.session.spare_pings:
            return
        heard = self.sender.heard_at
        answered = self._pinged_at is not None and heard >= self._pinged_at  # the clock counts milliseconds
        if answered or not self._ping_seconds or not self.sender.writable:
            self._pinged_at = None
        elif self._pinged_at is None and loop_time - heard > self._ping_seconds:
            self._pinged_at = loop_time
            self.sender.ping()
        elif self._pinged_at is not None and loop_time - self._pinged_at > self._ping_timeout:
            self.close(CloseCode.UNRESPONSIVE, "no answer to a ping")

    def _is_idle(self, now: float, loop_time: float) -> bool:
        silent = bool(self._idle_seconds) and now - self.received_at > self._idle_seconds
        return silent and not self.session.describe()


def _outbox_limits() -> OutboxLimits:
    return OutboxLimits(
        messages=conf.OUTBOX_MESSAGES,
        bytes=conf.OUTBOX_BYTES,
        slow_seconds=conf.SLOW_SECONDS,
        stalled_seconds=conf.STALLED_SECONDS,
        events=conf.EVENTS_WAITING,
    )


_CLOSE_CODES = {
    "forbidden": CloseCode.FORBIDDEN,
    "token_invalid": CloseCode.UNAUTHENTICATED,
    "token_expired": CloseCode.UNAUTHENTICATED,
}


async def deny(send: Any, scope: dict[str, Any], refusal: Refusal) -> None:
    """Do not open a WebSocket: an HTTP status, where the server can send one other than 403."""
    logger.info("WebSocket denied with HTTP %s: %s", refusal.status, refusal)
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": CloseCode.FORBIDDEN})  # the server answers 403
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": f"{refusal}\n".encode()})


class NotFound(AsyncConsumer):  # type: ignore[misc]
    """For paths without an endpoint: a readable close code instead of a server error."""

    channel_layer_alias = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": CloseCode.NOT_FOUND, "reason": f"no endpoint at {scope['path']}"[:120]})


__all__ = ["Connection", "NotFound", "Peer", "Principal", "Refusal", "Session", "deny"]
