"""One WebSocket connection that speaks the geo protocol: frames in and out, in the negotiated encoding.

Whatever ends it, its user sees a `ClientError`.
"""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from ..core.errors import StreamError
from ..dialects.geo.codec import PROTOCOL_VERSION, Encoding, decode, encode, is_text
from ..dialects.geo.messages import Error, Handshake, HandshakeAck, Message
from .dictionaries import HeldDictionaries
from .errors import ClientError, ConnectionClosedByServer, ConnectionFailed, ConnectionLost, ProtocolError

_TRY_AGAIN = {408, 425, 429}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how to connect. Times in seconds, sizes in bytes."""

    url: str
    encoding: Encoding
    headers: Mapping[str, str] = field(default_factory=dict)
    ssl: tls.SSLContext | None = None
    proxy: str | Literal[True] | None = True
    open_timeout: float = 10.0
    close_timeout: float = 5.0
    max_size: int = 16 << 20
    max_decompressed: int = 64 << 20
    dictionaries: HeldDictionaries | None = None
    """Of a client that has messages compressed with dictionaries."""

    async def open(self, token: str | None) -> Link:
        """A connection that has shaken hands. Raises ConnectionFailed, ConnectionClosedByServer, ConnectionLost or ProtocolError."""
        authorization = {} if token is None else {"Authorization": f"Bearer {token}"}
        link = Link(await self._connect({**self.headers, **authorization}), self)
        try:
            async with asyncio.timeout(self.open_timeout):
                await link.shake_hands()
                if self.dictionaries is not None:
                    await link.send(link.encode(self.dictionaries.message()))
        except TimeoutError as error:
            await link.close()
            raise ConnectionFailed(f"{self.url} did not answer the handshake within {self.open_timeout:g} seconds") from error
        except BaseException:
            await link.close()
            raise
        return link

    async def _connect(self, headers: dict[str, str]) -> ClientConnection:
        encryption: dict[str, Any] = {} if self.ssl is None else {"ssl": self.ssl}  # for wss:// without one, the system's certificates
        try:
            return await connect(
                self.url,
                additional_headers=headers,
                proxy=self.proxy,
                open_timeout=self.open_timeout,
                close_timeout=self.close_timeout,
                max_size=self.max_size,
                compression=None,  # the protocol has its own
                ping_interval=None,  # the client's own pings also prove that the server's program is alive
                **encryption,
            )
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            permanent = 400 <= status < 500 and status not in _TRY_AGAIN
            raise ConnectionFailed(f"{self.url} answered with HTTP status {status}", permanent) from refusal
        except InvalidURI as error:
            raise ConnectionFailed(str(error), permanent=True) from error
        except (OSError, InvalidHandshake, TimeoutError) as error:
            raise ConnectionFailed(f"cannot connect to {self.url}: {error or type(error).__name__}") from error


class Link:
    """A connection that is open."""

    def __init__(self, socket: ClientConnection, endpoint: Endpoint) -> None:
        self._socket = socket
        self._endpoint = endpoint
        self._encoding = endpoint.encoding

    async def shake_hands(self) -> None:
        """Ask for the endpoint's encoding and take the one the server answers with."""
        wanted = self._encoding
        await self.send(self.encode(Handshake(PROTOCOL_VERSION, wanted.format, wanted.compression)))
        match message := await self.receive():
            case HandshakeAck(version=version, format=format, compression=compression):
                if version != PROTOCOL_VERSION:
                    raise ProtocolError(f"the server speaks version {version} of the protocol, this client {PROTOCOL_VERSION}")
                self._encoding = Encoding.of(format, compression)
            case Error(code=code, message=text):
                raise ProtocolError(f"the server refused the handshake: {code}: {text}")
            case _:
                raise ProtocolError(f"the server answered the handshake with {type(message).__name__}")

    def encode(self, message: Message) -> bytes:
        """The bytes to `send`."""
        return encode(message, self._encoding)

    async def send(self, data: bytes) -> None:
        """Send an encoded message; waits while the connection is congested."""
        try:
            await self._socket.send(data, text=is_text(self._encoding))
        except ConnectionClosed as closed:
            raise _reason(closed) from closed

    async def receive(self) -> Message:
        """The server's next message."""
        try:
            data = await self._socket.recv(decode=False)
        except ConnectionClosed as closed:
            raise _reason(closed) from closed
        endpoint = self._endpoint
        known = None if endpoint.dictionaries is None else endpoint.dictionaries.known
        try:
            message, _ = decode(data, max_size=endpoint.max_size, max_decompressed=endpoint.max_decompressed, dictionaries=known)
        except StreamError as error:
            raise ProtocolError(f"the server sent a frame that cannot be read: {error.message}") from error
        return message

    async def close(self) -> None:
        """Close; harmless when it is closed already."""
        await self._socket.close()


def _reason(closed: ConnectionClosed) -> ClientError:
    if closed.rcvd is not None:
        return ConnectionClosedByServer(closed.rcvd.code, closed.rcvd.reason)
    return ConnectionLost(f"the connection broke: {closed}")
