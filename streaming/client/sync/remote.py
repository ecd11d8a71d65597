"""The folder on the server, over HTTP. Its answers are checked as if they came from an enemy: paths, hashes and sizes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpx

from streaming.files.metadata import HASH, format_time, parse_time
from streaming.files.paths import PathError, clean_path
from streaming.files.staging import BLOCK, StagedFile
from streaming.files.store import OpenFile

from .errors import Changed, Refused, SyncError, Unreachable
from .plan import Content
from .state import State

PAGE = 10_000
TUS_BYTES = 32 * 1024 * 1024
"""Larger files are uploaded in parts, so that an upload goes on where it was when the client or the network ended."""
PART_BYTES = 8 * 1024 * 1024
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_AGAIN = (423, 429, 502, 503)
"""Statuses after which the same request is sent again a little later."""
_CHANGED = (404, 409, 412)
MOST_TRIES = 6
_TUS = {"Tus-Resumable": "1.0.0"}

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything on the server, and the number of the last change that it shows."""

    contents: dict[str, Content]
    seq: int
    epoch: str


class Remote:
    """The requests of one client."""

    def __init__(self, url: str, client_id: str, state: State, token: str = "", on_bytes: Progress = lambda count: None) -> None:
        headers = {"X-Client-Id": client_id, "User-Agent": "geostream-sync"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._url = url
        self._state = state
        self._on_bytes = on_bytes
        self._http = httpx.AsyncClient(headers=headers, timeout=TIMEOUT, follow_redirects=False, trust_env=True)

    async def close(self) -> None:
        """End the connections."""
        await self._http.aclose()

    async def list(self, wanted: Callable[[str], bool]) -> Listing:
        """What is there. Paths that break a rule are left out: they could not be stored here."""
        contents: dict[str, Content] = {}
        cursor, seq, epoch = "", 0, ""
        while True:
            query = {"limit": str(PAGE), **({"cursor": cursor} if cursor else {})}
            page = (await self._request("GET", "list", query)).json()
            if not cursor:
                seq, epoch = int(page.get("seq") or 0), str(page.get("epoch") or "")
            for entry in page["files"]:
                found = content_of(entry)
                if found is not None and wanted(found[0]):
                    contents[found[0]] = found[1]
            cursor = str(page.get("cursor") or "")
            if not cursor:
                return Listing(contents, seq, epoch)

    async def download(self, path: str, content: Content, staged: StagedFile) -> None:
        """The bytes of a file into a staged one, from where that ends. `Changed` if the server has another version by now."""
        async with self._stream("GET", "download", path, Range=f"bytes={staged.size}-" if staged.size else "") as answer:
            if answer.status_code not in (200, 206) or answer.headers.get("etag", "").strip('W/"') != content.hash:
                raise Changed(path)
            if staged.size and answer.status_code != 206:
                raise Changed(path)
            async for block in answer.aiter_bytes(BLOCK):
                if staged.size + len(block) > content.size:
                    raise SyncError(f"{path}: the server sends more than {content.size} bytes")
                await asyncio.to_thread(staged.write, block)
                self._on_bytes(len(block))
        if staged.hash != content.hash:
            raise SyncError(f"{path}: what the server sent is not what it says (SHA-256)")

    async def upload(self, path: str, content: Content, file: OpenFile, base: str | None) -> None:
        """A file to the server, in the place of the version `base`; None: where nothing is. `Changed` if there is something else."""
        condition = {"If-Match": f'"{base}"'} if base else {"If-None-Match": "*"}
        if content.size > TUS_BYTES:
            await self._upload_in_parts(path, content, file, condition)
            return
        headers = {
            **condition,
            "X-Content-SHA256": content.hash,
            "X-Mtime": format_time(content.modified_ns),
            "Content-Length": str(content.size),
            "Content-Type": "application/octet-stream",
        }
        await self._request("PUT", "upload", {"path": path}, headers, lambda: _blocks(file, 0, content.size, self._on_bytes))

    async def delete(self, path: str, base: str | None) -> None:
        """Delete what still is the version `base`."""
        headers = {"If-Match": f'"{base}"'} if base else {}
        try:
            await self._request("DELETE", "delete", {"path": path}, headers)
        except Changed:
            if await self.metadata(path) is not None:
                raise

    async def move(self, source: str, target: str) -> None:
        """Rename."""
        await self._request("POST", "rename", json={"from": source, "to": target})

    async def make_directory(self, path: str) -> None:
        """Make a folder, unless it is there."""
        try:
            await self._request("POST", "mkdir", json={"path": path})
        except Changed:
            found = await self.metadata(path)
            if found is None or not found.is_directory:
                raise

    async def metadata(self, path: str) -> Content | None:
        """One path."""
        try:
            found = content_of((await self._request("GET", "metadata", {"path": path})).json())
        except Changed:
            return None
        return found[1] if found else None

    # -- requests --------------------------------------------------------------

    async def _request(
        self,
        method: str,
        name: str,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        body: Callable[[], AsyncIterator[bytes]] | None = None,
        json: Any = None,
    ) -> httpx.Response:
        url = name if "://" in name else f"{self._url}/{name}"
        for number in range(MOST_TRIES):
            content = body() if body is not None else None
            try:
                answer = await self._http.request(method, url, params=query, headers=headers, content=content, json=json)
            except httpx.HTTPError as error:
                raise Unreachable(f"{self._url} does not answer: {type(error).__name__} {error}".rstrip()) from error
            if answer.status_code not in _AGAIN or number == MOST_TRIES - 1:
                break
            await asyncio.sleep(min(_retry_after(answer) or 0.2 * 2**number, 10.0))
        return _checked(answer, (query or {}).get("path") or str(json or name))

    def _stream(self, method: str, name: str, path: str, **headers: str) -> Any:
        given = {key: value for key, value in headers.items() if value}
        return _Stream(self._http.stream(method, f"{self._url}/{name}", params={"path": path}, headers=given), self._url)

    # -- in parts (tus 1.0.0) -----------------------------------------------------

    async def _upload_in_parts(self, path: str, content: Content, file: OpenFile, condition: dict[str, str]) -> None:
        key = f"upload {content.hash} {path}"
        address = self._state.get(key)
        offset = await self._offset(address) if address else None
        if offset is None:
            address, offset = await self._create(path, content, condition), 0
            self._state.set(key, address)
        self._on_bytes(offset)
        try:
            while offset < content.size:
                count = min(PART_BYTES, content.size - offset)
                headers = {
                    **_TUS,
                    "Upload-Offset": str(offset),
                    "Content-Type": "application/offset+octet-stream",
                    "Content-Length": str(count),
                }
                at = offset
                await self._request("PATCH", address, None, headers, lambda: _blocks(file, at, count, self._on_bytes))  # noqa: B023
                offset += count
        except (Changed, Refused):
            self._state.set(key, "")
            raise
        self._state.set(key, "")

    async def _offset(self, address: str) -> int | None:
        try:
            answer = await self._request("HEAD", address, None, _TUS)
        except (Changed, Refused):
            return None
        return int(answer.headers.get("upload-offset", -1)) if answer.headers.get("upload-offset", "").isdigit() else None

    async def _create(self, path: str, content: Content, condition: dict[str, str]) -> str:
        values = {"path": path, "sha256": content.hash, "modified": format_time(content.modified_ns)}
        metadata = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())
        headers = {**_TUS, **condition, "Upload-Length": str(content.size), "Upload-Metadata": metadata}
        answer = await self._request("POST", "tus/", None, headers)
        return urljoin(f"{self._url}/tus/", answer.headers["location"])


class _Stream:
    """An answer that is read while it arrives; what goes wrong with the network is `Unreachable`."""

    def __init__(self, stream: Any, url: str) -> None:
        self._stream, self._url = stream, url

    async def __aenter__(self) -> httpx.Response:
        try:
            answer: httpx.Response = await self._stream.__aenter__()
        except httpx.HTTPError as error:
            raise Unreachable(f"{self._url} does not answer: {error}") from error
        return answer

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        await self._stream.__aexit__(kind, error, traceback)
        if isinstance(error, httpx.HTTPError):
            raise Unreachable(f"{self._url}: {error}") from error


async def _blocks(file: OpenFile, start: int, count: int, on_bytes: Progress) -> AsyncIterator[bytes]:
    end = start + count
    while start < end:
        block = await asyncio.to_thread(file.read_at, start, min(BLOCK, end - start))
        if not block:
            return  # it is shorter now: the server refuses what does not have its length
        start += len(block)
        on_bytes(len(block))
        yield block


def content_of(entry: Any) -> tuple[str, Content] | None:
    """The path and content of metadata that a server sent; None for what could not be stored here, or is no metadata."""
    try:
        path = clean_path(entry["path"])
        modified = parse_time(entry["modified"])
        size, hashed, directory = entry["size"], entry["hash"], entry["is_directory"]
    except (PathError, KeyError, TypeError):
        return None
    if path != entry["path"] or modified is None or not isinstance(size, int) or isinstance(size, bool) or size < 0:
        return None
    if directory is True:
        return path, Content("", is_directory=True)
    return (path, Content(hashed, size, modified_ns=modified)) if isinstance(hashed, str) and HASH.fullmatch(hashed) else None


def _checked(answer: httpx.Response, what: str) -> httpx.Response:
    if answer.is_success:
        return answer
    try:
        error = answer.json()["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        code, message = str(answer.status_code), answer.reason_phrase or "the server refuses"
    if answer.status_code in _CHANGED and code != "case_conflict":
        raise Changed(what)
    raise Refused(answer.status_code, code, f"{what}: {message}"[:500])


def _retry_after(answer: httpx.Response) -> float | None:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdigit() else None
