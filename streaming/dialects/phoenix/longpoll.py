"""Long polling: Phoenix Channels for clients behind proxies that let no WebSocket through.

A poll is a GET that waits until there is something to send; what a client sends comes by POST. The client behind both is a peer like any
other, so everything above is the same code. Any process may be asked: requests for a peer of another process are passed on to it.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from streaming.core.errors import CloseCode
from streaming.engine.auth import Principal
from streaming.engine.client_connection import ClientConnection
from streaming.engine.conf import conf
from streaming.engine.rate_limit import MessageRate
from streaming.engine.senders import Framing
from streaming.engine.session import Session

from .consumer import CLOSE_CODES
from .serializers import Serializer
from .session import PhoenixSession

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

POLL_SECONDS = 10.0
AWAY_SECONDS = 15.0
"""After so long without a request a client is gone: one that is there polls again at once."""
BATCH_SECONDS = 0.01
"""How long a poll waits for more once there is something."""
MAX_LINES = 1000
"""Of one POST. Clients send a hundred at most; before phoenix.js 1.8 they send everything that waits, such as the joins of all topics."""
MAX_ANSWER_BYTES = 1024 * 1024

OK, NOTHING, BAD, GONE = 200, 204, 400, 410
_TOKEN = re.compile(r"[0-9a-f]{32}\.[\w-]{32}", re.ASCII)


def new_token(node: str) -> str:
    """What a poller is known by: the process it belongs to, and a secret."""
    return f"{node}.{secrets.token_urlsafe(24)}"


def node_of(token: str | None) -> str | None:
    """The process that a poller belongs to, None if this is no poller's token."""
    return token.partition(".")[0] if token is not None and _TOKEN.fullmatch(token) else None


class PollFraming:
    """Frames are texts in an answer's list. There are no binary ones."""

    def pack(self, payloads: list[bytes], text: bool) -> list[Any]:
        """The texts."""
        return [payload.decode() for payload in payloads]

    def join(self, frames: list[Any]) -> list[Any]:
        """The texts."""
        return frames


POLL: Framing = PollFraming()


class PollSender:
    """Writable while a poll waits; what is written is its answer."""

    framing: Framing = POLL

    def __init__(self, ended: Callable[[], None]) -> None:
        self.ended = False
        self.written = 0
        self.on_writable: Callable[[], None] = lambda: None
        self.data_received_at = asyncio.get_running_loop().time()
        self._ended = ended
        self._ready: list[str] = []
        self._size = 0
        self._polling: asyncio.Event | None = None

    @property
    def polling(self) -> bool:
        """Whether a poll waits."""
        return self._polling is not None

    @property
    def writable(self) -> bool:
        """Whether a poll waits, and its answer is not large yet."""
        return self._polling is not None and self._size < MAX_ANSWER_BYTES

    def write(self, frames: list[Any]) -> None:
        """Put texts into the answer."""
        self._ready += frames
        size = sum(map(len, frames))
        self._size += size
        self.written += size
        if self._polling is not None:
            self._polling.set()

    def ping(self) -> None:
        """There is nothing to ping."""

    def close(self, code: int, reason: str) -> None:
        """The next request finds nobody here."""
        self.ended = True
        if self._polling is not None:
            self._polling.set()
        self._ended()

    def detach(self) -> None:
        """The peer is gone."""

    def request_received(self) -> None:
        """A request came."""
        self.data_received_at = asyncio.get_running_loop().time()

    async def poll(self, seconds: float) -> list[str]:
        """The frames for the client; waits for some if there are none. A poll that comes while another waits takes its place."""
        if self._polling is not None:
            self._polling.set()
        polling = self._polling = asyncio.Event()
        try:
            self.on_writable()
            if not self._ready:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await polling.wait()
                await asyncio.sleep(BATCH_SECONDS if self._ready else 0)
            if self._polling is not polling:
                return []
            ready, self._ready, self._size = self._ready, [], 0
            return ready
        finally:
            if self._polling is polling:
                self._polling = None


class PollPeer(ClientConnection):
    """A client that polls."""

    session_class: ClassVar[type[Session]] = PhoenixSession
    close_codes = CLOSE_CODES

    def __init__(
        self,
        runtime: Runtime,
        address: str,
        principal: Principal,
        serializer: Serializer,
        channel_token: str | None,
        ended: Callable[[], None],
    ) -> None:
        super().__init__()
        self.runtime = runtime
        self.address = address
        self.principal = principal
        self.serializer = serializer
        self.channel_token = channel_token
        self._ended = ended
        self._turn = asyncio.Lock()
        self._pace = MessageRate()
        self._polled = PollSender(self._end)
        self._open(self._polled)

    async def poll(self) -> tuple[int, list[str]]:
        """The answer to a GET."""
        self._polled.request_received()
        messages = await self._polled.poll(POLL_SECONDS)
        self._polled.request_received()
        if self.closing and not messages:
            return GONE, []
        return (OK if messages else NOTHING), messages

    async def post(self, body: bytes) -> int:
        """Handle what a POST brings: frames a line, binary ones in base64. The answer's status."""
        self._polled.request_received()
        try:
            frames = [_frame(line) for line in body.decode().split("\n") if line]
        except ValueError:  # neither UTF-8 nor base64
            return BAD
        if len(frames) > MAX_LINES:
            return BAD
        async with self._turn:
            for frame in frames:
                if self.closing:
                    return GONE
                self.received += 1
                self.received_bytes += len(frame)
                if await self._pace.wait(len(frame)):
                    self.runtime.connections.slowed += 1
                await self._handle(frame)
        return GONE if self.closing else OK

    def _is_idle(self, now: float, loop_time: float) -> bool:
        return not self._polled.polling and loop_time - self.sender.data_received_at > min(
            AWAY_SECONDS, conf.PHOENIX_IDLE_SECONDS or AWAY_SECONDS
        )

    def _end(self) -> None:
        asyncio.get_running_loop().call_soon(self._gone)
        self._ended()

    def leave(self) -> None:
        """The server ends."""
        self.close(CloseCode.RESTART, "the server is restarting")


def _frame(line: str) -> str | bytes:
    return line if line[0] in "[{" else b64decode(line, validate=True)
