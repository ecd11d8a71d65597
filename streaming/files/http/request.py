"""One request about files, and what it is answered with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from ..changes import Actor, Precondition
from ..metadata import HASH
from ..paths import clean_path
from ..rights import Rights

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
MAX_JSON = 64 * 1024


class ClientGone(Exception):
    """The client has left before its request was complete."""


@dataclass
class Answer:
    """What a request is answered with: JSON, bytes, or pieces that are made while they are sent."""

    status: int = 200
    json: Any = None
    body: bytes = b""
    pieces: AsyncIterator[bytes] | None = None
    close: Callable[[], None] | None = None
    """Called when it was sent, or never will be."""
    headers: dict[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        """The body of an answer without pieces."""
        return self.body if self.json is None else msgspec.json.encode(self.json)


class Request:
    """One request: headers and parameters as text, the body as it arrives, and what its client may do."""

    def __init__(self, scope: Mapping[str, Any], receive: Receive) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[str, str] = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        # Decoded once only. What is no UTF-8 becomes half characters, which no path may have; some clients escape nothing.
        query = "".join(chr(byte) if byte < 128 else f"%{byte:02x}" for byte in scope.get("query_string", b""))
        self.parameters: dict[str, str] = dict(parse_qsl(query, keep_blank_values=True, errors="surrogateescape"))
        self.rights = Rights(())
        self.actor = Actor()
        self.caller = ""
        """Whom limits are counted for: a user or an address."""
        self.user_id = ""
        self.received = 0
        self.complete = False
        """Whether the body was read to its end."""
        self._receive = receive

    @property
    def address(self) -> str:
        """Where it comes from."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    @property
    def length(self) -> int | None:
        """The declared length of the body. `StreamError("bad_request")` for what is no number."""
        text = self.headers.get("content-length")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit()) or len(text) > 19:
            raise StreamError("bad_request", "Content-Length is not a number")
        return int(text)

    @property
    def media_type(self) -> str:
        """The Content-Type without parameters."""
        declared: str = self.headers.get("content-type", "")
        return declared.partition(";")[0].strip().lower()

    def flag(self, name: str, default: bool) -> bool:
        """A parameter that is true or false."""
        text = self.parameters.get(name, "").lower()
        if text not in ("", "true", "false", "1", "0"):
            raise StreamError("bad_request", f"{name} must be true or false")
        return text in ("true", "1") if text else default

    def number(self, name: str, default: int | None, most: int) -> int | None:
        """A parameter that is a whole number; more than the most is the most."""
        text = self.parameters.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit()) or len(text) > 18:
            raise StreamError("bad_request", f"{name} must be a whole number")
        return min(int(text), most)

    def path_parameter(self, name: str = "path") -> str:
        """A parameter that is a path. `PathError`."""
        return clean_path(self.parameters.get(name, ""), int(conf.FILES_DEPTH))

    def require(self, right: str, path: str) -> None:
        """`StreamError` if the client may not do this: unauthenticated for nobody, forbidden for a user."""
        if not self.rights.allows(right, path):
            self.refuse(f"you may not {right} {path[:200]!r}")

    def require_some(self, right: str) -> None:
        """The same of what may be done anywhere."""
        if not self.rights.allows_some(right):
            self.refuse(f"you may not {right} any files")

    def refuse(self, message: str) -> None:
        """Refuse what the client may not do."""
        if self.actor.user or not conf.FILES_UPLOAD:
            raise StreamError("forbidden", message)
        raise StreamError("unauthenticated", f"{message} without a login or a token")

    @property
    def condition(self) -> Precondition:
        """What `If-Match` and `If-None-Match` ask for."""
        return Precondition(_tags(self.headers.get("if-match")), _tags(self.headers.get("if-none-match")))

    async def chunks(self, most: int) -> AsyncIterator[bytes]:
        """The body as it arrives. `StreamError("too_large")`, or bad_request if nothing more comes; `ClientGone`."""
        while not self.complete:
            try:
                async with asyncio.timeout(conf.FILES_IDLE_SECONDS):
                    message = await self._receive()
            except TimeoutError:
                raise StreamError("bad_request", "nothing more was received for too long") from None
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk = message.get("body", b"")
            self.received += len(chunk)
            self.complete = not message.get("more_body")
            if self.received > most:
                raise too_large(most)
            if chunk:
                yield chunk

    async def json(self, most: int = MAX_JSON) -> Any:
        """The body as a JSON object. `StreamError`."""
        if (self.length or 0) > most:
            raise too_large(most)
        body = b"".join([chunk async for chunk in self.chunks(most)])
        try:
            found = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise StreamError("bad_request", "the body is not JSON") from None
        if not isinstance(found, dict):
            raise StreamError("bad_request", "the body is not an object")
        return found

    async def gone(self) -> None:
        """Wait until the client has left."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def too_large(most: int) -> StreamError:
    """The refusal of a body of more bytes."""
    return StreamError("too_large", f"the body may have {most} bytes")


def etag(hash: str) -> str:
    """The tag of a content."""
    return f'"{hash}"'


def _tags(header: str | None) -> frozenset[str] | None:
    """The hashes of a condition, `*` for anything; None without one. What is no tag of ours matches nothing."""
    if header is None:
        return None
    return frozenset(_stripped(header.split(",")))


def _stripped(tags: Iterable[str]) -> Iterable[str]:
    for tag in tags:
        text = tag.strip()
        if text == "*":
            yield text
        elif HASH.fullmatch(text.strip('"')):
            yield text.strip('"')
