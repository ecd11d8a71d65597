"""How much of a body is taken in before it is known who sends it: no more than a document may have.

Django writes a body to disk before any view sees it, so without this anybody could fill the disk. Who shows a token of this server may
send lines without end; whether the user is active and may publish is asked later, by the view.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from streaming.core.errors import StreamError
from streaming.engine.auth import verify_token
from streaming.engine.conf import conf
from streaming.engine.responses import refusal

from .request_body import too_large

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Intake:
    """The `receive` of one request that ends in an answer, 413, when too much arrives."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._limit = self._left = conf.MAX_BODY_BYTES

    async def __call__(self) -> dict[str, Any]:
        """The next message, or that the client is gone once it was refused."""
        if self._left >= 0:
            message = await self._receive()
            self._left -= len(message.get("body", b""))
            if self._left >= 0:
                return message
            await self.refuse()
        return {"type": "http.disconnect"}

    def fits(self, scope: dict[str, Any]) -> bool:
        """Whether what the request announces may come."""
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        return not declared.isdigit() or int(declared[:18]) <= self._limit

    async def refuse(self) -> None:
        """Answer, and close the connection: what follows is not read."""
        response = refusal(too_large(self._limit))
        headers = [(name.encode(), value.encode()) for name, value in response.items()]
        length = str(len(response.content)).encode()
        headers += [(b"Content-Length", length), (b"Connection", b"close")]
        await self._send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await self._send({"type": "http.response.body", "body": response.content})


def shows_token(scope: dict[str, Any]) -> bool:
    """Whether the request carries a token that this server has signed and that has not expired."""
    scheme, _, token = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() != "bearer":
        return False
    try:
        verify_token(token.strip())
    except StreamError:
        return False
    return True
