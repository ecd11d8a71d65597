"""Values that are too large for a message: uploaded to the server, and downloaded from it or from the address of a link."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from hashlib import sha256
from typing import Any, TypeVar

from .errors import BadInput, JobFailed

SECONDS = 60.0
CHUNK = 256 * 1024
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 16.0)
"""Seconds between attempts to reach the server."""

T = TypeVar("T")


class Blobs:
    """The blobs of one server."""

    def __init__(self, url: str, token: str, most: int) -> None:
        self._url = url
        self._token = token
        self.most = most

    async def upload(self, data: bytes, media_type: str) -> dict[str, Any]:
        """Store a value; returns what a message says of it. A server that is away is waited for."""
        if len(data) > self.most:
            raise JobFailed(f"a result has {len(data)} bytes; the server takes {self.most}", title="Result too large")
        blob = {"id": str(uuid.uuid4()), "size": len(data), "sha256": sha256(data).hexdigest()}
        await _patiently(lambda: self._upload(data, media_type, blob), "a value could not be uploaded")
        return blob

    async def download(self, blob: dict[str, Any]) -> bytes:
        """A value that the server has."""
        headers = {"Authorization": f"Bearer {self._token}"}
        data = await _patiently(lambda: _fetch(f"{self._url}/{blob['id']}", headers, self.most), "an input could not be downloaded")
        if blob.get("sha256") not in (None, "", sha256(data).hexdigest()):
            raise JobFailed("an input was damaged on its way", title="Input damaged", retryable=True)
        return data

    async def fetch(self, href: str, name: str) -> bytes:
        """What a link leads to. `BadInput` if it cannot be had."""
        if not href.lower().startswith(("http://", "https://")):
            raise BadInput("only links with http and https are followed", name)
        try:
            return await asyncio.to_thread(_fetch, href, {}, self.most)
        except (OSError, JobFailed) as error:
            raise BadInput(f"{href[:200]} cannot be read: {error}", name) from None

    def _upload(self, data: bytes, media_type: str, blob: dict[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": media_type, "Content-SHA256": str(blob["sha256"])}
        request = urllib.request.Request(f"{self._url}/{blob['id']}", data=data, method="PUT", headers=headers)
        with urllib.request.urlopen(request, timeout=SECONDS):
            pass


async def _patiently(do: Callable[[], T], failure: str) -> T:
    """Try again while the server is away, as it is for a moment when it restarts."""
    for pause in PAUSES:
        try:
            return await asyncio.to_thread(do)
        except urllib.error.HTTPError as error:
            with error:
                if error.code < 500 and error.code != 429:
                    raise JobFailed(f"{failure}: HTTP status {error.code}") from None
            why: Exception = error
        except OSError as error:
            why = error
        await asyncio.sleep(pause)
    raise JobFailed(f"{failure}: {why}", retryable=True)


def _fetch(url: str, headers: dict[str, str], most: int) -> bytes:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        data = bytearray()
        while chunk := answer.read(CHUNK):
            data += chunk
            if len(data) > most:
                raise JobFailed(f"{url[:200]} has more than {most} bytes")
        return bytes(data)
