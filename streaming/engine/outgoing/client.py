"""One HTTP request to an address that was checked, bounded in time and size.

It is h11 on asyncio's streams: the libraries for HTTP resolve names themselves, and would ask for a name again after it was judged.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from urllib.parse import SplitResult, urljoin

import h11

from .addresses import PORTS, AddressRefused, AddressRules

CHUNK = 64 * 1024
REDIRECTS = (301, 302, 303, 307, 308)


class RequestFailed(Exception):
    """There is no answer, or it is too large, or took too long."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """By their names in small letters."""
    body: bytes


async def send(
    method: str,
    url: str,
    rules: AddressRules,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    seconds: float,
    most_bytes: int,
    redirects: int = 0,
) -> Answer:
    """Send a request and read its answer. `AddressRefused`, also for what it is redirected to; `RequestFailed`."""
    try:
        async with asyncio.timeout(seconds):
            for _ in range(redirects + 1):
                answer = await _once(method, url, rules, body, headers or {}, most_bytes)
                if answer.status not in REDIRECTS or "location" not in answer.headers or not redirects:
                    return answer
                url = urljoin(url, answer.headers["location"])
    except TimeoutError:
        raise RequestFailed(f"it takes more than {seconds:g} seconds") from None
    except (OSError, h11.RemoteProtocolError, ValueError) as error:
        raise RequestFailed(f"there is no answer: {type(error).__name__}") from None
    raise RequestFailed(f"it redirects more than {redirects} times")


async def _once(method: str, url: str, rules: AddressRules, body: bytes, headers: Mapping[str, str], most_bytes: int) -> Answer:
    parts = rules.check(url)
    address, port = await rules.resolve(parts)
    secure = {"ssl": _tls(), "server_hostname": parts.hostname} if parts.scheme == "https" else {}
    reader, writer = await asyncio.open_connection(address, port, **secure)  # type: ignore[arg-type]
    try:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=CHUNK)
        writer.write(_request(connection, method, parts, body, headers))
        await writer.drain()
        return await _answer(connection, reader, most_bytes)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _request(connection: h11.Connection, method: str, parts: SplitResult, body: bytes, headers: Mapping[str, str]) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    if parts.port and parts.port != PORTS[parts.scheme]:
        host += f":{parts.port}"
    own = {"Host": host, "User-Agent": "GeoStream", "Accept-Encoding": "identity", "Connection": "close"}
    if body or method == "POST":
        own["Content-Length"] = str(len(body))
    request = h11.Request(method=method, target=target.encode("ascii", "replace"), headers=list({**own, **headers}.items()))
    sent = (connection.send(request), connection.send(h11.Data(body)) if body else b"", connection.send(h11.EndOfMessage()))
    return b"".join(each for each in sent if each)


async def _answer(connection: h11.Connection, reader: asyncio.StreamReader, most_bytes: int) -> Answer:
    status, headers, body = 0, {}, bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(CHUNK))
        elif isinstance(event, h11.Response):
            status, headers = event.status_code, {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
            declared = headers.get("content-length", "")
            if declared.isdigit() and int(declared) > most_bytes and status not in REDIRECTS:
                raise RequestFailed(f"it is larger than {most_bytes} bytes")
            if status in REDIRECTS:
                return Answer(status, headers, b"")
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > most_bytes:
                raise RequestFailed(f"it is larger than {most_bytes} bytes")
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return Answer(status, headers, bytes(body))


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


__all__ = ["AddressRefused", "Answer", "RequestFailed", "send"]
