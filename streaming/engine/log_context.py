"""What a line of the log is about: the request, and the client's connection, that the current task or thread works for."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client_connection import ClientConnection

HEADER = b"x-request-id"
WELL_FORMED = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
"""The ids that are taken from a proxy or a client: whatever else they send is not written into a log."""
RESPONSE_STARTS = {"http.response.start", "websocket.accept", "websocket.http.response.start"}


@dataclass(slots=True)
class LogContext:
    """One request (a WebSocket begins as one), and who it turned out to be from."""

    request_id: str
    connection: ClientConnection | None = None
    user: Any = None
    """The primary key of the user of an HTTP request."""

    def fields(self) -> dict[str, Any]:
        """What a log has of it: ids and names only, no address and nothing that was sent."""
        found: dict[str, Any] = {"request_id": self.request_id}
        connection = self.connection
        if connection is not None:
            found |= {"connection": connection.id, "dialect": connection.session.dialect, "user": connection.principal.user_id}
        elif self.user is not None:
            found["user"] = self.user
        return found


_current: ContextVar[LogContext | None] = ContextVar("log_context", default=None)


def log_context() -> LogContext | None:
    """That of the current task or thread; None outside requests."""
    return _current.get()


def forget_connection() -> None:
    """The connection of this task is gone: what still logs here keeps it no longer."""
    context = _current.get()
    if context is not None:
        context.connection = None


def is_from(user: Any) -> None:
    """The current request was authenticated as a user."""
    context = _current.get()
    if context is not None:
        context.user = user.pk


class WithRequestId:
    """An ASGI application whose requests have ids: the header `X-Request-ID`, if that is well-formed, else a new one.

    The answer has the id in the same header.
    """

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        given = next((value for name, value in scope.get("headers", ()) if name == HEADER), b"")
        request_id = given if WELL_FORMED.fullmatch(given) else token_hex(16).encode()
        _current.set(LogContext(request_id.decode()))

        async def send_with_id(message: dict[str, Any]) -> None:
            if message["type"] in RESPONSE_STARTS:
                message = {**message, "headers": [*message.get("headers", ()), (HEADER, request_id)]}
            await send(message)

        await self._application(scope, receive, send_with_id)
