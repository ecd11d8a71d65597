"""The endpoint `/ws/processes`: what is agreed on while a worker's socket opens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from processes.jobs.service import Jobs
from streaming.core.errors import CloseCode, StreamError
from streaming.engine.auth import ANONYMOUS, Principal, check_origin
from streaming.engine.conf import conf
from streaming.engine.rate_limit import MessageRate
from streaming.engine.session import Session
from streaming.engine.websocket import WebSocketConnection, WebSocketDenied, deny

from .allowance import NotSlowed
from .session import WorkerSession
from .tokens import TokenRights, bearer, find_token

SUBPROTOCOL = "ogc-worker.v1+json"


class WorkerConnection(WebSocketConnection):
    """A WebSocket of a worker."""

    session_class: ClassVar[type[Session]] = WorkerSession
    close_codes: ClassVar[Mapping[CloseCode, int]] = {CloseCode.TOO_BIG: 4413, CloseCode.IDLE: 4408}
    token: TokenRights

    @property
    def most_bytes(self) -> int:
        """Of one frame."""
        return int(conf.PROCESS_FRAME_BYTES)

    def negotiate(self) -> dict[str, Any]:
        """The subprotocol; without it this is no worker."""
        if SUBPROTOCOL not in (self.scope.get("subprotocols") or []):
            raise WebSocketDenied(400, f"the subprotocol here is {SUBPROTOCOL}")
        return {"subprotocol": SUBPROTOCOL}

    async def authenticate(self) -> Principal:
        """Nobody: a worker acts for no user. It shows a worker's token."""
        headers = list(self.scope["headers"])
        named = dict(headers)
        if b"origin" in named:
            check_origin(named[b"origin"].decode("latin-1"), named.get(b"host", b"").decode("latin-1"))
        text = bearer(headers)
        if text is None:
            raise WebSocketDenied(403, "workers connect with 'Authorization: Bearer <worker token>'")
        token = await self.runtime.service(Jobs).read(lambda: find_token(text))
        if token is None:
            raise WebSocketDenied(403, "the worker token is unknown, has expired or was revoked")
        self.token = token
        return ANONYMOUS

    async def refuse(self, send: Any, error: StreamError) -> None:
        """Before the upgrade."""
        await deny(send, self.scope, WebSocketDenied(error.kind.status, error.message))

    def message_rate(self) -> MessageRate:
        """See `WorkerSession`, which refuses what is too much."""
        return NotSlowed()

    @property
    def blob_url(self) -> str:
        """Where the worker finds its blobs: at the site's public address or, without one, at the host that it has connected to."""
        if conf.PROCESS_URL:
            return f"{str(conf.PROCESS_URL).rstrip('/')}/worker/blobs"
        host = dict(self.scope["headers"]).get(b"host", b"localhost").decode("latin-1")
        scheme = "https" if self.scope.get("scheme") in ("wss", "https") else "http"
        return f"{scheme}://{host}{self.scope.get('root_path', '')}/{str(conf.PROCESS_PATH).strip('/')}/worker/blobs"
