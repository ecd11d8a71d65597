"""A client of the whole HTTP application in this process. Bodies may come in pieces, without end, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib.parse import urlsplit

from django.core.handlers.asgi import ASGIHandler

from streaming.api.fast_publish import HttpApplication

TIMEOUT = 10.0


class Answer:
    """What was answered."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        code: str = self.json()["error"]["code"]
        return code


class HttpPeer:
    """Sends requests; `headers` go with each of them."""

    def __init__(self, headers: dict[str, str] | None = None, address: str = "127.0.0.1") -> None:
        self.headers = headers or {}
        self.address = address
        self._application = HttpApplication(ASGIHandler())

    async def request(
        self, method: str, url: str, body: bytes | Iterable[bytes] | AsyncIterator[bytes] = b"", leaves: bool = False, **headers: str
    ) -> Answer:
        """One request. A client that `leaves` does so after the pieces of its body."""
        parts = urlsplit(url)
        given = {"host": "testserver", **self.headers, **{name.replace("_", "-").lower(): value for name, value in headers.items()}}
        if isinstance(body, bytes):
            given.setdefault("content-length", str(len(body)))
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": _decoded(parts.path),
            "root_path": "",
            "query_string": parts.query.encode(),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
            "client": (self.address, 1),
        }
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        messages = _messages(body, leaves)
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._application(scope, messages.__anext__, send)
        finally:
            with contextlib.suppress(RuntimeError):
                await messages.aclose()
        if not sent:
            return Answer(0, {}, b"")
        start, *rest = sent
        answered = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
        return Answer(start["status"], answered, b"".join(each.get("body", b"") for each in rest))

    async def get(self, url: str, **headers: str) -> Answer:
        return await self.request("GET", url, **headers)

    async def put(self, path: str, body: Any, **headers: str) -> Answer:
        return await self.request("PUT", f"/api/upload?path={path}", body, **headers)

    async def post(self, url: str, document: Any, **headers: str) -> Answer:
        return await self.request("POST", url, json.dumps(document).encode(), content_type="application/json", **headers)


def _decoded(path: str) -> str:
    from urllib.parse import unquote

    return unquote(path)


async def _messages(body: Any, leaves: bool) -> AsyncIterator[dict[str, Any]]:
    if isinstance(body, bytes):
        half = len(body) // 2
        pieces: Any = [body[:half], body[half:]]
    else:
        pieces = body
    if hasattr(pieces, "__aiter__"):
        async for piece in pieces:
            yield {"type": "http.request", "body": piece, "more_body": True}
    else:
        for piece in pieces:
            yield {"type": "http.request", "body": piece, "more_body": True}
    if not leaves:
        yield {"type": "http.request", "body": b"", "more_body": False}
    else:
        yield {"type": "http.disconnect"}
    await asyncio.Event().wait()  # it stays
