"""A keep-alive HTTP client on asyncio streams: just enough to POST as fast as the server answers."""

from __future__ import annotations

import asyncio
import json
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
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        answer = await self._reader.readexactly(length)
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise ConnectionError(f"{head.decode()}{answer.decode()}")
        return json.loads(answer)

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        await self._writer.wait_closed()
