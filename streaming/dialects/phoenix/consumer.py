"""The WebSocket endpoints of Phoenix Channels: what is agreed on while a socket opens.

What cannot become a connection is refused as Phoenix refuses it, with an HTTP status. A token that opens nothing is no reason: the joins
that need it are refused, with a reason that browsers show.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qs

from streaming.core.errors import CloseCode, StreamError
from streaming.engine.auth import ANONYMOUS, Principal, authenticate, from_token
from streaming.engine.conf import conf
from streaming.engine.senders import AnySender
from streaming.engine.session import Session
from streaming.engine.websocket import WebSocketConnection, WebSocketDenied, deny

from .frames import FrameError
from .serializers import Serializer, version_of
from .session import PhoenixSession

PROTOCOL = "phoenix"
BEARER = "base64url.bearer.phx."

CLOSE_CODES: Mapping[CloseCode, int] = {
    CloseCode.BAD_PROTOCOL: 1011,
    CloseCode.UNAUTHENTICATED: 1008,
    CloseCode.FORBIDDEN: 1008,
    CloseCode.SLOW: 1008,
    CloseCode.DISCONNECTED: 1001,
    CloseCode.BANNED: 1008,
    CloseCode.HANDSHAKE_TIMEOUT: 1008,
    CloseCode.IDLE: 1001,
    CloseCode.UNRESPONSIVE: 1001,
    CloseCode.OVERLOADED: 1008,
}
"""What Phoenix's clients know. Never 1000: many of them would not come back."""


class PhoenixConnection(WebSocketConnection):
    """A WebSocket that speaks Phoenix Channels."""

    session_class: ClassVar[type[Session]] = PhoenixSession
    close_codes = CLOSE_CODES
    serializer: Serializer

    def negotiate(self) -> dict[str, Any]:
        """The serializer's version, and the subprotocol that a token may have come in."""
        query = parse_qs(self.scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        try:
            self.serializer = version_of(query["vsn"][0] if "vsn" in query else None)
        except FrameError as error:
            raise WebSocketDenied(403, str(error)) from error
        offered = self.scope.get("subprotocols") or []
        self.channel_token = offered_token(offered) or first_token(query)
        if PROTOCOL in offered:
            return {"subprotocol": PROTOCOL}
        if offered and self.channel_token is None:
            raise WebSocketDenied(403, f"the subprotocol here is {PROTOCOL}")
        return {}

    async def authenticate(self) -> Principal:
        """The user, from the session of a page, a header, a ticket or the connection's token; else nobody."""
        principal = await authenticate(self.scope)
        if principal is ANONYMOUS and self.channel_token is not None:
            principal = await user_of(self.channel_token)
        return principal

    async def refuse(self, send: Any, error: StreamError) -> None:
        """Before the upgrade."""
        await deny(send, self.scope, WebSocketDenied(error.kind.status, error.message))

    def _open(self, sender: AnySender) -> None:
        super()._open(sender)
        self._idle_seconds = conf.PHOENIX_IDLE_SECONDS

    def _keep_alive(self, loop_time: float) -> None:
        """Phoenix's server never pings: its clients send heartbeats."""

    def _is_idle(self, now: float, loop_time: float) -> bool:
        last_received = max(self.sender.data_received_at - loop_time, self.received_at - now)  # pings count where the server shows them
        return bool(self._idle_seconds) and -last_received > self._idle_seconds


def offered_token(offered: list[str]) -> str | None:
    """The token among the subprotocols, where browsers can put one. phoenix.js writes plain base64 without padding."""
    for item in offered:
        if item.startswith(BEARER):
            text = item.removeprefix(BEARER).replace("-", "+").replace("_", "/")
            try:
                return b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise WebSocketDenied(403, "the token in the subprotocol is not base64") from error
    return None


def first_token(query: dict[str, list[str]]) -> str | None:
    """The token in the query: `userToken`, as Tangram's front end calls it, or `token`, as many Phoenix applications do."""
    return next((query[name][0] for name in ("userToken", "token") if query.get(name, [""])[0]), None)


async def user_of(token: str) -> Principal:
    """Whose access token it is; nobody's if it is a channel token, or no good: then it opens nothing."""
    try:
        return await from_token(token)
    except StreamError:
        return ANONYMOUS
