"""The life of one WebSocket: negotiate, accept, authenticate, read, keep alive, refuse.

A WebSocket is a Channels consumer without a channel layer of its own (the process's hub has one) and without Channels' thread hop for
every message: `__call__` is the read loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from channels.consumer import AsyncConsumer
from django.db import DatabaseError

from streaming.core.arrivals import arrivals
from streaming.core.errors import CloseCode, StreamError

from .auth import Principal, authenticate
from .client_connection import ClientConnection
from .conf import conf
from .inbox import Inbox
from .lifespan import get_runtime
from .log_context import forget_connection
from .rate_limit import MessageRate
from .senders import RAW_EXTENSION, AnySender, AsgiSender, RawSender
from .session import GONE

logger = logging.getLogger(__name__)

LEAVE_SECONDS = 0.5
"""How long the messages of a client that has left are still handled."""


class WebSocketDenied(Exception):
    """A WebSocket that is not opened at all: an HTTP status instead."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class WebSocketConnection(ClientConnection, AsyncConsumer):  # type: ignore[misc]  # untyped upstream
    """One WebSocket."""

    channel_layer_alias = None

    async def __call__(self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        self.scope = scope
        client = scope.get("client")
        self.address = client[0] if client else ""
        self.user_agent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"user-agent"), "")
        await receive()  # websocket.connect
        try:
            accept = {"type": "websocket.accept", **self.negotiate()}
            self.runtime = await get_runtime()
            self.runtime.connections.admit(self.address)
            self.principal = await self._authenticated()
            self.runtime.connections.admit(self.address, self.principal)  # again: others came meanwhile
        except WebSocketDenied as refusal:
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
        inbox = self._inbox = Inbox(receive, self._left)
        try:
            await self._read(inbox)
        except asyncio.CancelledError:
            if self._leaving is None:
                raise
        finally:
            if self._leaving is not None:
                self._leaving.cancel()
            inbox.close()
            self._gone()
            del self._inbox, self._task, self._leaving
            self.session = GONE  # each has the other
            forget_connection()

    # -- what dialects may do otherwise -----------------------------------

    @property
    def most_bytes(self) -> int:
        """Of one message."""
        return int(conf.MAX_MESSAGE_BYTES)

    def message_rate(self) -> MessageRate:
        """How fast the client's messages are handled."""
        return MessageRate()

    def negotiate(self) -> dict[str, Any]:
        """Further fields of `websocket.accept`, such as `subprotocol`. `WebSocketDenied` if the dialect does not accept it."""
        return {}

    async def authenticate(self) -> Principal:
        """Who asks. `StreamError` or `WebSocketDenied`."""
        return await authenticate(self.scope)

    async def refuse(self, send: Any, error: StreamError) -> None:
        """Accept, so that the client can read the code, and close."""
        logger.info("WebSocket refused: %s", error)
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": _CLOSE_CODES.get(error.code, CloseCode.OVERLOADED), "reason": error.message[:120]})

    async def _authenticated(self) -> Principal:
        try:
            async with asyncio.timeout(conf.HANDSHAKE_SECONDS or None):
                return await self.authenticate()
        except TimeoutError:
            self.runtime.connections.refused["handshake"] += 1
            raise StreamError("handshake_timeout", "it took too long to find out who you are; try again") from None

    # -- the socket --------------------------------------------------------

    def _open(self, sender: AnySender) -> None:
        self._leaving: asyncio.TimerHandle | None = None
        self._pinged_at: float | None = None
        self._ping_seconds, self._ping_timeout, self._idle_seconds = conf.PING_SECONDS, conf.PING_TIMEOUT_SECONDS, conf.IDLE_SECONDS
        super()._open(sender)

    async def _read(self, inbox: Inbox) -> None:
        self._task = asyncio.current_task()
        pace = self.message_rate()
        while True:
            message = await inbox.next()
            if message["type"] == "websocket.disconnect":
                await arrivals.begin(self._leave())  # thousands may leave in one turn of the loop, and come back
                return
            if not self.closing:
                await inbox.handle(self._take(_payload(message), pace))
            del message  # else it is kept until the next one comes

    async def _leave(self) -> None:
        self._gone()

    async def _take(self, data: str | bytes, pace: MessageRate) -> None:
        self.received += 1
        self.received_bytes += len(data)
        self.received_at = time.monotonic()
        if await pace.wait(len(data)):
            self.runtime.connections.slowed += 1
        if len(data) > self.most_bytes:
            self.close(CloseCode.TOO_BIG, f"messages may have {self.most_bytes} bytes")
        else:
            await self._handle(data)

    def _left(self) -> None:
        """The client has left while one of its messages is being handled. What it sent before is still done, if that does not take long."""
        if isinstance(self.sender, AsgiSender):
            self.sender.ended = True
        self._leaving = asyncio.get_running_loop().call_later(LEAVE_SECONDS, self._end)

    def _end(self) -> None:
        """Again and again: a cancellation that meets a reply of Redis can get lost in its client."""
        assert self._task is not None
        self._task.cancel()
        self._leaving = asyncio.get_running_loop().call_later(LEAVE_SECONDS, self._end)

    def _keep_alive(self, loop_time: float) -> None:
        if self._leaving is None and self._inbox.full and isinstance(self.sender, RawSender) and self.sender.peer_has_left:
            self._left()
        if not isinstance(self.sender, RawSender) or self.session.spare_pings:
            return
        data_received_at = self.sender.data_received_at
        answered = self._pinged_at is not None and data_received_at >= self._pinged_at  # the clock counts milliseconds
        if answered or not self._ping_seconds or not self.sender.writable:
            self._pinged_at = None
        elif self._pinged_at is None and loop_time - data_received_at > self._ping_seconds:
            self._pinged_at = loop_time
            self.sender.ping()
        elif self._pinged_at is not None and loop_time - self._pinged_at > self._ping_timeout:
            self.close(CloseCode.UNRESPONSIVE, "no answer to a ping")

    def _is_idle(self, now: float, loop_time: float) -> bool:
        silent = bool(self._idle_seconds) and now - self.received_at > self._idle_seconds
        return silent and not self.session.describe()


def _payload(message: dict[str, Any]) -> str | bytes:
    text: str | None = message.get("text")
    data: bytes | None = message.get("bytes")
    return (data or b"") if text is None else text


_CLOSE_CODES = {
    "forbidden": CloseCode.FORBIDDEN,
    "token_invalid": CloseCode.UNAUTHENTICATED,
    "token_expired": CloseCode.UNAUTHENTICATED,
    "banned": CloseCode.BANNED,
    "handshake_timeout": CloseCode.HANDSHAKE_TIMEOUT,
}


async def deny(send: Any, scope: dict[str, Any], refusal: WebSocketDenied) -> None:
    """Do not open a WebSocket: an HTTP status, where the server can send one other than 403."""
    logger.info("WebSocket denied with HTTP %s: %s", refusal.status, refusal)
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": CloseCode.FORBIDDEN})  # the server answers 403
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": f"{refusal}\n".encode()})


class UnknownEndpoint(AsyncConsumer):  # type: ignore[misc]
    """For paths without an endpoint: a readable close code instead of a server error."""

    channel_layer_alias = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": CloseCode.NOT_FOUND, "reason": f"no endpoint at {scope['path']}"[:120]})
