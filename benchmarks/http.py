"""Keep-alive HTTP clients on asyncio streams: just enough to ask as fast as the server answers."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any


class Poster:
    """One connection that POSTs JSON to one path."""

    def __init__(self, port: int, path: str, token: str, content_type: str = "application/json") -> None:
        self._port = port
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: "
        ).encode()

    async def open(self) -> Poster:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def post(self, body: bytes) -> Any:
        """The decoded answer; `ConnectionError` unless it is 200."""
        self._writer.write(self._head + str(len(body)).encode() + b"\r\n\r\n" + body)
        head, answer = await _read(self._reader)
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise ConnectionError(f"{head.decode()}{answer.decode()}")
        return json.loads(answer)

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        await self._writer.wait_closed()


@dataclass(frozen=True, slots=True)
class Answered:
    """What a server has answered."""

    body: Any
    location: str


class Caller:
    """One connection for requests with JSON to any path."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._head = f"Host: 127.0.0.1:{port}\r\nAccept: application/json\r\n" + (f"Authorization: Bearer {token}\r\n" if token else "")

    async def open(self) -> Caller:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def call(self, method: str, path: str, body: Any = None, prefer: str = "") -> Answered:
        """The answer; `ConnectionError` unless it is 2xx."""
        data = b"" if body is None else json.dumps(body).encode()
        more = f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n" if data else ""
        more += f"Prefer: {prefer}\r\n" if prefer else ""
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{self._head}{more}\r\n".encode() + data)
        head, answer = await _read(self._reader)
        lines = head.decode().split("\r\n")
        if lines[0].split()[1][0] != "2":
            raise ConnectionError(f"{head.decode()}{answer.decode()}")
        location = next((line.split(":", 1)[1].strip() for line in lines if line.lower().startswith("location:")), "")
        return Answered(json.loads(answer), location)

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        await self._writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The head and the body of an answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    return head, await reader.readexactly(length)
