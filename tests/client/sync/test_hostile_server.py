"""A server that lies, breaks off, or has gone mad: the client keeps what it has, tells nobody its token, and says what is wrong."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from streaming.client.sync import announcements, remote
from streaming.client.sync.announcements import Announcements
from streaming.client.sync.client import SyncClient
from streaming.client.sync.errors import SafetyStop, SyncError, Unreachable
from streaming.client.sync.folder import LocalFolder
from streaming.client.sync.plan import Plan
from streaming.client.sync.remote import Remote
from streaming.client.sync.rounds import Rules
from streaming.client.sync.state import State
from streaming.core.errors import StreamError
from streaming.files.staging import StagedFile

URL = "http://server/api/files"
Handler = Callable[[httpx.Request], httpx.Response]


class Silent:
    """A reporter that says nothing."""

    def planned(self, plan: Plan) -> None: ...

    def did(self, what: str, path: str, more: str = "") -> None: ...

    def failed(self, path: str, error: Exception) -> None: ...

    def finished(self) -> None: ...


def hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def metadata(path: str, text: str, **more: Any) -> dict[str, Any]:
    found = {"path": path, "size": len(text), "hash": hash_of(text), "modified": "2024-01-15T10:30:00Z", "is_directory": False}
    return {**found, **more}


class Server:
    """Has files as a server should, until an answer of its own is put in the place of one of its actions."""

    def __init__(self, **files: str) -> None:
        self.files: dict[str, str] = files
        self.answers: dict[str, Handler | httpx.Response] = {}
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        action = "tus" if "/tus" in request.url.path else request.url.path.rpartition("/")[2]
        path = request.url.params.get("path", "")
        answer = self.answers.get(f"{request.method} {action}", self.answers.get(action))
        if answer is not None:
            return answer(request) if callable(answer) else answer
        if action == "list":
            return self.listed(*(metadata(name, text) for name, text in sorted(self.files.items())))
        if request.method == "DELETE":
            del self.files[path]
            return httpx.Response(204)
        if path not in self.files:
            return httpx.Response(404)
        if action == "metadata":
            return httpx.Response(200, json=metadata(path, self.files[path]))
        assert action == "download"
        return httpx.Response(200, content=self.files[path].encode(), headers={"etag": f'"{hash_of(self.files[path])}"'})

    @staticmethod
    def listed(*entries: dict[str, Any], **more: Any) -> httpx.Response:
        return httpx.Response(200, json={"files": entries, "cursor": None, "seq": 1, "epoch": "e", **more})

    def sent(self, method: str) -> list[str]:
        return [request.url.params.get("path", str(request.url)) for request in self.requests if request.method == method]


class Client:
    """One client, its folder and what it remembers."""

    def __init__(self, home: Path, server: Server) -> None:
        self.home, self.root = home, home / "maps"
        self.state = State(home / "state")
        self.folder = LocalFolder(self.root, self.state)
        self.folder.open()
        self.remote = Remote(URL, "me", self.state, "secret")
        self.remote._http = httpx.AsyncClient(transport=httpx.MockTransport(server), headers=self.remote._http.headers)
        self.client = SyncClient(self.folder, self.remote, self.state, Rules(), "me", Silent())

    async def sync(self) -> Any:
        self.client._list_again = True
        return await self.client.once()

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def tree(self) -> dict[str, str]:
        files = [each for each in self.root.rglob("*") if each.is_file()]
        return {path: each.read_text() for each in files if not (path := each.relative_to(self.root).as_posix()).startswith(".hub-")}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MOST_TRIES", 1)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def client(tmp_path: Path, server: Server) -> Iterator[Client]:
    client = Client(tmp_path, server)
    yield client
    client.folder.close()
    client.state.close()


async def test_a_server_that_breaks_off_in_the_middle_is_tried_again(client: Client, server: Server) -> None:
    server.files = {name: name for name in "abcdefgh"}

    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone")

    server.answers["download"] = gone
    for _ in range(3):  # as often as it takes to use up the places for transfers, if they got lost
        with pytest.raises(Unreachable):
            await client.sync()
    server.answers.clear()
    await client.sync()
    assert client.tree() == server.files


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, text="[" * 100_000),
        httpx.Response(200, json=[1]),
        httpx.Response(200, json={"files": 7}),
        httpx.Response(200, json={"files": [], "cursor": "a"}),
        httpx.Response(302, headers={"location": "http://elsewhere/api/files/list"}),
    ],
    ids=["page", "deep", "array", "number", "no end", "redirect"],
)
async def test_a_list_that_is_none_is_an_error_and_deletes_nothing(answer: httpx.Response, client: Client, server: Server) -> None:
    client.write("a", "mine")
    server.answers["list"] = lambda request: answer
    with pytest.raises(SyncError):
        await client.sync()
    assert client.tree() == {"a": "mine"}
    assert {request.url.host for request in server.requests} == {"server"}


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_server_that_is_not_well_is_not_one_that_refuses(status: int, client: Client, server: Server) -> None:
    server.answers["list"] = httpx.Response(status)
    with pytest.raises(Unreachable):
        await client.sync()


@pytest.mark.parametrize("status", [302, 401, 429, 500])
async def test_a_download_that_is_refused_fails_and_is_not_asked_for_again_and_again(status: int, client: Client, server: Server) -> None:
    server.files = {"a": "a", "b": "b"}
    server.answers["download"] = lambda request: httpx.Response(status, headers={"location": "http://elsewhere/"})
    outcome = await client.sync()
    assert outcome.failed.keys() == {"a", "b"} and len(server.sent("GET")) == 3


async def test_an_answer_without_an_end_is_cut_off(client: Client, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MOST_ANSWER", 1_000_000)
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 100_000
            yield b" " * 100_000

    server.answers["list"] = lambda request: httpx.Response(200, content=endless())
    with pytest.raises(SyncError, match="more than"):
        await client.sync()
    assert sent < 1_300_000


async def test_a_download_that_expands_is_not_taken(client: Client, server: Server) -> None:
    server.files = {"a": "a"}
    headers = {"etag": f'"{hash_of("a")}"', "content-encoding": "gzip"}
    server.answers["download"] = lambda request: httpx.Response(200, stream=httpx.ByteStream(b"\x1f\x8b"), headers=headers)
    assert (await client.sync()).failed.keys() == {"a"} and client.tree() == {}


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"])
async def test_times_that_nobody_can_store_do_no_harm(time: str, client: Client, server: Server) -> None:
    server.files = {"a": "a"}
    server.answers["list"] = lambda request: server.listed(metadata("a", "a", modified=time))
    await client.sync()
    assert client.tree() == {"a": "a"}


@pytest.mark.parametrize("location", ["http://elsewhere/up", "https://server/up", "//elsewhere/up", "http://[", ""])
async def test_uploads_and_the_token_go_nowhere_else(
    location: str, client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "TUS_BYTES", 3)
    server.answers["POST tus"] = httpx.Response(201, headers={"location": location} if location else {})
    client.write("large", "large")
    assert (await client.sync()).failed.keys() == {"large"}
    assert {(request.url.scheme, request.url.host) for request in server.requests} == {("http", "server")}
    client.state.set(f"upload {hash_of('large')} large", "http://elsewhere/up")  # as an older version may have remembered
    await client.sync()
    assert {request.url.host for request in server.requests} == {"server"}


async def test_an_upload_that_arrived_but_became_no_file_is_not_taken_for_done(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server was killed between the last byte and the file: else the file would look as if it had been deleted there."""
    monkeypatch.setattr(remote, "TUS_BYTES", 3)
    client.write("large", "large")
    client.state.set(f"upload {hash_of('large')} large", f"{URL}/tus/1")
    server.answers["HEAD tus"] = httpx.Response(200, headers={"upload-offset": "5"})

    def finish(request: httpx.Request) -> httpx.Response:
        server.files["large"] = "large"
        return httpx.Response(204)

    server.answers["PATCH tus"] = finish
    await client.sync()
    assert server.files == {"large": "large"} and len(server.sent("PATCH")) == 1


async def test_a_server_that_only_says_that_it_has_an_upload_is_asked(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "TUS_BYTES", 3)
    monkeypatch.setattr("streaming.client.sync.client.MOST_AGAIN", 2)
    client.write("large", "large")
    server.answers["POST tus"] = httpx.Response(201, headers={"location": "/api/files/tus/1"})
    server.answers["PATCH tus"] = httpx.Response(204)
    await client.sync()
    await client.sync()
    assert client.tree() == {"large": "large"} and client.state.base() == {}


async def test_a_full_disk_fails_one_file_and_not_the_sync(client: Client, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files = {"a": "a", "large": "large"}
    write = StagedFile.write

    def full(self: StagedFile, data: bytes) -> None:
        if len(data) > 1:
            raise StreamError("folder_full", "the disk of the folder is full")
        write(self, data)

    monkeypatch.setattr(StagedFile, "write", full)
    assert (await client.sync()).failed.keys() == {"large"} and client.tree() == {"a": "a"}


async def test_a_file_that_becomes_shorter_while_it_is_uploaded_is_looked_at_again(client: Client, server: Server) -> None:
    client.write("a", "long")

    async def take(request: httpx.Request) -> httpx.Response:
        client.write("a", "")
        async for _ in request.stream:  # type: ignore[union-attr]
            pass
        raise AssertionError("it was taken")

    server.answers["upload"] = take  # type: ignore[assignment]
    server.answers["metadata"] = httpx.Response(404)
    await client.remote._http.aclose()
    client.remote._http = httpx.AsyncClient(transport=Streaming(server), headers=client.remote._http.headers)
    outcome = await client.client._rounds.run()
    assert outcome.changed == {"a"} and not outcome.failed


class Streaming(httpx.AsyncBaseTransport):
    """Hands requests on before their bodies are read."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer: Any = self._server(request)
        return await answer if hasattr(answer, "__await__") else answer  # type: ignore[no-any-return]


async def test_names_that_differ_only_in_case_are_not_deleted_there(client: Client, server: Server) -> None:
    server.files = {"A.txt": "one", "a.txt": "two", "b": "b"}
    await client.sync()
    await client.sync()
    assert client.tree() == server.files == {"A.txt": "one", "a.txt": "two", "b": "b"}


async def test_a_new_name_that_differs_only_in_case_does_not_replace_the_one_that_was_agreed_on(client: Client, server: Server) -> None:
    server.files = {"readme": "agreed", "b": "b"}
    await client.sync()
    client.write("README", "new")
    outcome = await client.sync()
    assert outcome.failed.keys() == {"README"}
    assert server.files == {"readme": "agreed", "b": "b"} and client.tree() == {**server.files, "README": "new"}


async def test_what_cannot_be_read_here_is_not_deleted_there(client: Client, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files = {"dir/deep/a": "a", "dir/b": "b", "c": "c"}
    await client.sync()
    read = client.folder.store._entries

    def fail(folder: str) -> Any:
        if folder == "dir":
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(folder)

    monkeypatch.setattr(client.folder.store, "_entries", fail)
    outcome = await client.sync()
    assert outcome.failed.keys() == {"dir"} and server.sent("DELETE") == []
    assert client.state.base().keys() == server.files.keys()


async def test_a_folder_that_goes_away_while_it_is_synced_stops_the_sync(client: Client, server: Server) -> None:
    server.files = {"a": "a", "b": "b"}
    await client.sync()
    client.root.rename(client.home / "elsewhere")
    with pytest.raises(SafetyStop):
        await client.client._rounds.run(["a"])
    assert server.sent("DELETE") == []


async def test_another_file_with_an_older_time_is_not_taken_for_the_uploaded_one(client: Client, server: Server) -> None:
    """What was looked at is what is remembered, not what is there when it has been uploaded."""
    client.write("a", "agreed")

    def take(request: httpx.Request) -> httpx.Response:
        server.files["a"] = "agreed"
        restored = client.root / "restored"
        restored.write_text("restored")
        os.utime(restored, ns=(10**18, 10**18))
        restored.rename(client.root / "a")
        return httpx.Response(200, json=metadata("a", "agreed"))

    server.answers["upload"] = take
    await client.client._rounds.run()
    content = client.folder.look("a")
    assert content is not None and content.hash == hash_of("restored")


async def test_what_fails_is_tried_again_less_and_less_often(client: Client, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    client.client._list_again = False
    client.write("a", "a")
    server.answers["upload"] = httpx.Response(507)
    waits = []
    for _ in range(12):
        monkeypatch.setattr("streaming.client.sync.client.time.monotonic", lambda: 0.0)
        await client.client._round(["a"])
        waits.append(client.client._dirty["a"])
    assert waits[:3] == [0.3, 0.6, 1.2] and waits[-1] == 60.0


@pytest.mark.parametrize(
    "frame", ["[" * 100_000, '{"type":"FileOperation","operation":{"Delete":{"metadata":[1]}},"seq":true}', "7", b"\xff"]
)
def test_announcements_that_are_none_change_nothing(frame: str | bytes, client: Client) -> None:
    told: Counter[str] = Counter()
    following = Announcements("ws://server", "me", client.state, "", lambda found: told.update(len=len(found)), lambda: told.update("r"))
    client.state.set("seq", "41")
    following._handle(announcements._decoded(frame))
    assert client.state.get("seq") == "41" and not +told
