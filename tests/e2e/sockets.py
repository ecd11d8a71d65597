"""A client of the geo protocol over a real socket, in any encoding."""

from __future__ import annotations

import json
import os
import socket
from base64 import b64encode
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Origin

from streaming.dialects.geo.codec import JSON_TEXT, Encoding, decode, encode, is_text
from streaming.dialects.geo.messages import (
    Ack,
    Compression,
    Error,
    Event,
    FeatureData,
    Handshake,
    HandshakeAck,
    Message,
    MessageFormat,
    Pong,
    SubscribeFeatures,
    Subscriptions,
)

TIMEOUT = 10.0
ANSWERS = (Ack, Error, HandshakeAck, Pong, Subscriptions)


class GeoSocket:
    """Messages are the protocol's own structs. `asked` keeps what came before an answer for `next`."""

    def __init__(
        self, url: str, encoding: Encoding = JSON_TEXT, origin: str | None = None, headers: dict[str, str] | None = None, **options: Any
    ) -> None:
        self.encoding = encoding
        self.frames: list[str | bytes] = []
        self._early: list[Message] = []
        self._stack = ExitStack()
        connecting = connect(
            url,
            origin=None if origin is None else Origin(origin),
            additional_headers=headers,
            compression=None,
            ping_interval=None,
            max_size=None,
            proxy=None,
            open_timeout=TIMEOUT,
            **options,
        )
        self.websocket = self._stack.enter_context(connecting)

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def send(self, message: Message | str | bytes) -> None:
        if isinstance(message, Message):
            data = encode(message, self.encoding)
            self.websocket.send(data.decode() if is_text(self.encoding) else data)
        else:
            self.websocket.send(message)

    def receive(self, timeout: float = TIMEOUT) -> Message:
        frame = self.websocket.recv(timeout)
        self.frames.append(frame)
        return decode(frame, max_size=1 << 24, max_decompressed=1 << 26)[0]

    def ask(self, message: Message | str | bytes) -> Any:
        self.send(message)
        while not isinstance(answer := self.receive(), ANSWERS):
            self._early.append(answer)
        return answer

    def handshake(self, format: MessageFormat, compression: Compression) -> HandshakeAck:
        """Negotiate; what is agreed on holds from then on."""
        answer = self.ask(Handshake(1, format, compression))
        assert isinstance(answer, HandshakeAck), answer
        self.encoding = Encoding.of(answer.format, answer.compression, positional=self.encoding.positional)
        return answer

    def subscribe(self, layer: str | None, **options: Any) -> Ack:
        answer = self.ask(SubscribeFeatures("s", layer=layer, **options))
        assert isinstance(answer, Ack) and answer.success, answer
        return answer

    def next(self, timeout: float = TIMEOUT) -> Any:
        return self._early.pop(0) if self._early else self.receive(timeout)

    def next_change(self, timeout: float = TIMEOUT) -> tuple[str, Any]:
        """Change type and feature id."""
        message = self.next(timeout)
        assert isinstance(message, FeatureData), message
        return message.change_type.value, json.loads(message.geojson)["id"]

    def next_event(self) -> Event:
        message = self.next()
        assert isinstance(message, Event), message
        return message

    def closed(self, timeout: float = TIMEOUT) -> int:
        """The code of the close that comes next; messages before it are skipped."""
        try:
            while True:
                self.receive(timeout)
        except ConnectionClosed as error:
            assert error.rcvd is not None, error
            return error.rcvd.code


class BareSocket:
    """A WebSocket client that reads only when told to and answers nothing by itself."""

    def __init__(self, port: int, receive_buffer: int | None = None, path: str = "/ws") -> None:
        self.tcp = socket.socket()
        if receive_buffer is not None:
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.tcp.settimeout(TIMEOUT)
        self.tcp.connect(("127.0.0.1", port))
        key = b64encode(os.urandom(16)).decode()
        self.tcp.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._data = bytearray()
        while b"\r\n\r\n" not in self._data:
            self._data += self.tcp.recv(4096)
        assert self._data.startswith(b"HTTP/1.1 101")
        del self._data[: self._data.index(b"\r\n\r\n") + 4]

    def send(self, payload: bytes, text: bool = False) -> None:
        length = bytes((0x80 | len(payload),)) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
        self.tcp.sendall((b"\x81" if text else b"\x82") + length + bytes(4) + payload)

    def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        opcode, length = self._take(2)
        if length >= 126:
            length = int.from_bytes(self._take(2 if length == 126 else 8), "big")
        return opcode & 0x0F, self._take(length)

    def _take(self, count: int) -> bytes:
        while len(self._data) < count:
            more = self.tcp.recv(1 << 20)
            assert more, "the connection was cut without a close frame"
            self._data += more
        taken = bytes(self._data[:count])
        del self._data[:count]
        return taken


__all__ = ["BareSocket", "GeoSocket"]
