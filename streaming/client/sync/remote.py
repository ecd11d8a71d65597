"""The folder on the server, over HTTP. Its answers are checked as if they came from an enemy: paths, hashes and sizes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import httpx
import msgspec

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
MSGPACK = "application/msgpack"
ENTRY_BYTES = 8192
"""What an entry of an answer may have besides its content."""
_AGAIN = (423, 429, 502, 503)
"""Statuses after which the same request is sent again a little later."""
_CHANGED = (404, 409, 412)
MOST_TRIES = 6
MOST_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer other than a download."""
MOST_ENTRIES = 5_000_000
"""Of a list."""
_LATEST = 2**62 - 1
"""The latest time of a file that servers take, in nanoseconds."""
_TUS = {"Tus-Resumable": "1.0.0"}

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything on the server, and the number of the last change that it shows."""

    contents: dict[str, Content]
    seq: int
    epoch: str


class SmallFile(NamedTuple):
    """A file that goes up with others; without bytes, a folder. `base` is the version that it replaces, None for a new one."""

    path: str
    content: Content
    data: bytes | None
    base: str | None


class _Received(msgspec.Struct):
    path: str
    content: bytes | None = None


_received = msgspec.msgpack.Decoder(list[_Received]).decode


class Remote:
    """The requests of one client."""

    def __init__(self, url: str, client_id: str, state: State, token: str = "", on_bytes: Progress = lambda count: None) -> None:
        headers = {"X-Client-Id": client_id, "User-Agent": "geostream-sync"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._url = url
        self._state = state
        self._on_bytes = on_bytes
        headers["Accept-Encoding"] = "gzip"  # others expand a few bytes to anything
        self._http = httpx.AsyncClient(headers=headers, timeout=TIMEOUT, follow_redirects=False, trust_env=True)

    async def close(self) -> None:
        """End the connections."""
        await self._http.aclose()

    async def list(self, wanted: Callable[[str], bool]) -> Listing:
        """What is there. Paths that break a rule are left out: they could not be stored here. `Unreachable` if the server is not well."""
        contents: dict[str, Content] = {}
        cursor, seq, epoch = "", 0, ""
        while len(contents) <= MOST_ENTRIES:
            page = await self._page(cursor)
            if not cursor:
                seq, epoch = _number(page.get("seq")), str(page.get("epoch") or "")
            for entry in page["files"]:
                found = content_of(entry)
                if found is not None and wanted(found[0]):
                    contents[found[0]] = found[1]
            before, cursor = cursor, str(page.get("cursor") or "")
            if not cursor:
                return Listing(contents, seq, epoch)
            if cursor <= before:
                break
        raise SyncError(f"the list of {self._url} has no end")

    async def _page(self, cursor: str) -> dict[str, Any]:
        query = {"limit": str(PAGE), **({"cursor": cursor} if cursor else {})}
        try:
            page = _json(await self._request("GET", "list", query))
        except Refused as error:
            if error.status == 429 or error.status >= 500:
                raise Unreachable(str(error)) from error
            raise
        if not isinstance(page, dict) or not isinstance(page.get("files"), list):
            raise SyncError(f"the list of {self._url} cannot be read; is it a GeoStream server?")
        return page

    async def download(self, path: str, content: Content, staged: StagedFile) -> None:
        """The bytes of a file into a staged one, from where that ends. `Changed` if the server has another version by now."""
        for number in range(MOST_TRIES):
            headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={staged.size}-"} if staged.size else {})}
            async with self._stream("GET", "download", path, headers) as answer:
                if answer.status_code not in _AGAIN or number == MOST_TRIES - 1:
                    await self._receive(answer, path, content, staged)
                    break
            await _pause(answer, number)
        if staged.hash != content.hash:
            raise SyncError(f"{path}: what the server sent is not what it says (SHA-256)")

    async def _receive(self, answer: httpx.Response, path: str, content: Content, staged: StagedFile) -> None:
        if answer.status_code in (*_CHANGED, 416):
            raise Changed(path)
        if answer.status_code not in (200, 206) or answer.headers.get("content-encoding", "identity") != "identity":
            raise Refused(answer.status_code, str(answer.status_code), f"{path}: {answer.reason_phrase or 'the server refuses'}")
        if answer.headers.get("etag", "").strip('W/"') != content.hash or (staged.size and answer.status_code != 206):
            raise Changed(path)
        async for block in answer.aiter_bytes(BLOCK):
            if staged.size + len(block) > content.size:
                raise SyncError(f"{path}: the server sends more than {content.size} bytes")
            await asyncio.to_thread(staged.write, block)
            self._on_bytes(len(block))

    async def upload(self, path: str, content: Content, file: OpenFile, base: str | None) -> None:
        """A file to the server, in the place of the version `base`; None: where nothing is. `Changed` if there is something else."""
        condition = {"If-Match": f'"{base}"'} if base else {"If-None-Match": "*"}
        if content.size > TUS_BYTES:
            await self._upload_in_parts(path, content, file, condition)
            return
        headers = {
            **condition,
            "X-Content-SHA256": content.hash,
            "X-Mtime": _time_of(content),
            "Content-Length": str(content.size),
            "Content-Type": "application/octet-stream",
        }
        await self._request("PUT", "upload", {"path": path}, headers, lambda: _blocks(path, file, 0, content.size, self._on_bytes))

    async def upload_many(self, files: Sequence[SmallFile]) -> set[str]:
        """Small files and folders in one request; returns the paths of those that are there now. The others have to go alone."""
        entries = [{"path": each.path, "content": each.data, "base": each.base, "modified": _time_of(each.content)} for each in files]
        body = await asyncio.to_thread(msgspec.msgpack.encode, entries)
        answer = await self._request("POST", "upload-many", None, {"Content-Type": MSGPACK}, lambda: _whole(body))
        files_there = _json(answer)
        if not isinstance(files_there, dict) or not isinstance(files_there.get("files"), list):
            raise SyncError(f"{self._url} does not say which files it has taken")
        there = dict(filter(None, map(content_of, files_there["files"])))
        done = {each.path for each in files if (found := there.get(each.path)) is not None and found.hash == each.content.hash}
        self._on_bytes(sum(each.content.size for each in files if each.path in done))
        return done

    async def download_many(self, contents: Mapping[str, Content]) -> dict[str, bytes]:
        """The bytes of small files in one request, as far as they are what they should be. The others have to be asked for alone."""
        most, body = sum(each.size for each in contents.values()) + ENTRY_BYTES * (len(contents) + 1), bytearray()
        headers = {"Accept-Encoding": "identity"}
        request = self._http.stream("POST", f"{self._url}/download-many", json={"paths": list(contents)}, headers=headers)
        async with _Stream(request, self._url) as answer:
            if answer.status_code != 200 or answer.headers.get("content-encoding", "identity") != "identity":
                return {}
            async for block in answer.aiter_bytes():
                body += block
                if len(body) > most:
                    raise SyncError(f"the server sends more than the {most} bytes that were asked for")
        return await asyncio.to_thread(_verified, bytes(body), contents)

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
            found = content_of(_json(await self._request("GET", "metadata", {"path": path})))
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
            request = self._http.build_request(method, url, params=query, headers=headers, content=content, json=json)
            try:
                answer = await _bounded(await self._http.send(request, stream=True))
            except httpx.HTTPError as error:
                raise Unreachable(f"{self._url} does not answer: {type(error).__name__} {error}".rstrip()) from error
            if answer.status_code not in _AGAIN or number == MOST_TRIES - 1:
                break
            await _pause(answer, number)
        return _checked(answer, (query or {}).get("path") or str(json or name))

    def _stream(self, method: str, name: str, path: str, headers: dict[str, str]) -> Any:
        return _Stream(self._http.stream(method, f"{self._url}/{name}", params={"path": path}, headers=headers), self._url)

    # -- in parts (tus 1.0.0) -----------------------------------------------------

    async def _upload_in_parts(self, path: str, content: Content, file: OpenFile, condition: dict[str, str]) -> None:
        key = f"upload {content.hash} {path}"
        address = self._state.get(key)
        offset = await self._offset(address, content.size) if address else None
        if offset is None:
            address, offset = await self._create(path, content, condition), 0
            self._state.set(key, address)
        self._on_bytes(offset)
        try:
            while True:  # also if everything has arrived: it becomes a file only with a last request
                count = min(PART_BYTES, content.size - offset)
                headers = {
                    **_TUS,
                    "Upload-Offset": str(offset),
                    "Content-Type": "application/offset+octet-stream",
                    "Content-Length": str(count),
                }
                at = offset
                await self._request("PATCH", address, None, headers, lambda: _blocks(path, file, at, count, self._on_bytes))  # noqa: B023
                offset += count
                if offset >= content.size:
                    break
        except (Changed, Refused):
            self._state.set(key, "")
            raise
        self._state.set(key, "")
        stored = await self.metadata(path)
        if stored is None or stored.hash != content.hash:
            raise Changed(path)

    async def _offset(self, address: str, size: int) -> int | None:
        """How much of an upload the server has; None if it knows nothing of it."""
        if not self._is_own(address):
            return None
        try:
            answer = await self._request("HEAD", address, None, _TUS)
        except (Changed, Refused):
            return None
        offset = _digits(answer.headers.get("upload-offset", ""))
        return offset if offset is not None and offset <= size else None

    def _is_own(self, address: str) -> bool:
        """Whether it is the server's that this client was told of: nobody else is sent the token, or files."""
        try:
            return urlsplit(address)[:2] == urlsplit(self._url)[:2]
        except ValueError:
            return False

    async def _create(self, path: str, content: Content, condition: dict[str, str]) -> str:
        values = {"path": path, "sha256": content.hash, "modified": _time_of(content)}
        metadata = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())
        headers = {**_TUS, **condition, "Upload-Length": str(content.size), "Upload-Metadata": metadata}
        answer = await self._request("POST", "tus/", None, headers)
        try:
            address = urljoin(f"{self._url}/tus/", answer.headers["location"])
        except (KeyError, ValueError):
            raise SyncError(f"{path}: the server does not say where the upload goes on") from None
        if not self._is_own(address):
            raise SyncError(f"{path}: the server wants the upload to go on elsewhere, at {address[:200]}")
        return address


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


async def _blocks(path: str, file: OpenFile, start: int, count: int, on_bytes: Progress) -> AsyncIterator[bytes]:
    end = start + count
    while start < end:
        block = await asyncio.to_thread(file.read_at, start, min(BLOCK, end - start))
        if not block:
            raise Changed(path)  # it is shorter now
        start += len(block)
        on_bytes(len(block))
        yield block


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _verified(body: bytes, contents: Mapping[str, Content]) -> dict[str, bytes]:
    """In a thread: what was asked for, by path."""
    try:
        received = _received(body)
    except msgspec.DecodeError as error:
        raise SyncError(f"the server does not answer with files: {error}") from error
    found = {each.path: each.content for each in received if each.content is not None and each.path in contents}
    return {path: data for path, data in found.items() if sha256(data).hexdigest() == contents[path].hash}


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
    modified = min(max(modified, 0), _LATEST)
    return (path, Content(hashed, size, modified_ns=modified)) if isinstance(hashed, str) and HASH.fullmatch(hashed) else None


def _checked(answer: httpx.Response, what: str) -> httpx.Response:
    if answer.is_success:
        return answer
    try:
        error = answer.json()["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        code, message = str(answer.status_code), answer.reason_phrase or "the server refuses"
    if (answer.status_code in _CHANGED and code != "case_conflict") or code == "hash_mismatch":
        raise Changed(what)  # a hash that does not match: it was changed while it was read
    raise Refused(answer.status_code, code, f"{what}: {message}"[:500])


async def _bounded(answer: httpx.Response) -> httpx.Response:
    """The whole answer, read. `SyncError` for one that does not end."""
    body = bytearray()
    try:
        if answer.headers.get("content-encoding", "identity") not in ("identity", "gzip"):
            raise SyncError("the server answers in an encoding that it was not asked for")
        async for block in answer.aiter_bytes():
            body += block
            if len(body) > MOST_ANSWER:
                raise SyncError(f"the server answers with more than {MOST_ANSWER} bytes")
    finally:
        await answer.aclose()
    headers = [(name, value) for name, value in answer.headers.multi_items() if name != "content-encoding"]
    return httpx.Response(answer.status_code, headers=headers, content=bytes(body), request=answer.request)


async def _pause(answer: httpx.Response, number: int) -> None:
    """Before the same request is sent again: as long as the server says, or longer each time."""
    await asyncio.sleep(min(_digits(answer.headers.get("retry-after", "")) or 0.2 * 2**number, 10.0))


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except (ValueError, RecursionError):
        raise SyncError("the answer of the server cannot be read; is it a GeoStream server?") from None


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else 0


def _digits(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _time_of(content: Content) -> str:
    return format_time(min(max(content.modified_ns, 0), _LATEST))
