"""The vectors of sessions: what several clients and requests send, and what each client receives."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from streaming.core.errors import CloseCode
from streaming.engine.runtime import Runtime
from streaming.files.changes import OUTSIDE
from streaming.files.folder import Folder
from streaming.files.folder_feed import Step
from streaming.files.metadata import FileRecord
from tests.files.http_peer import HttpPeer
from tests.files.vectors import CONTENTS, VECTORS, like, named

from .peer import FilePeer

SESSIONS = named("sessions")
ANY_TIME = ("2024-01-15T10:30:00Z", "*")


async def store(http: HttpPeer, path: str, headers: dict[str, str] | None = None) -> int:
    answer = await http.put(path, CONTENTS[path], **(headers or {}), X_Mtime="2024-01-15T10:30:00Z")
    return answer.status


class Play:
    """One vector, step by step."""

    def __init__(self, http: HttpPeer) -> None:
        self.http = http
        self.clients: dict[str, FilePeer] = {}

    async def client(self, name: str) -> FilePeer:
        if name not in self.clients:
            self.clients[name] = await FilePeer().connect()
        return self.clients[name]

    async def step(self, step: dict[str, Any]) -> None:
        if "http" in step:
            await self.request(step)
            return
        peer = await self.client(step["client"])
        if "send" in step:
            await peer.send(**step["send"])
        if "send_text" in step:
            await peer.send_text(step["send_text"])
        if step.get("close"):
            await self.clients.pop(step["client"]).close()
            return
        for expected in step.get("receive", ()):
            found = await peer.receive()
            if "code" not in expected:
                found.pop("code", None)
            found.pop("operation_id", None) if found["type"] == "Error" else None
            assert like(expected, found), (step, found)
        if step.get("closed"):
            assert (await peer.closed())[0] == step["closed"]
        elif "receive" in step:
            assert await peer.nothing(), step

    async def request(self, step: dict[str, Any]) -> None:
        method, url = step["http"].split(" ", 1)
        if method == "PUT":
            status = await store(self.http, step["file"], step.get("headers"))
        else:
            status = (await self.http.request(method, url)).status
        assert status == step["status"], step


@pytest.fixture
async def play(http: HttpPeer) -> Any:
    play = Play(http)
    yield play
    for peer in play.clients.values():
        await peer.close()


async def subscribe_first(play: Play, vector: dict[str, Any]) -> None:
    for path in vector.get("given", ()):
        assert await store(play.http, path) == 201


PLAYED = [name for name in SESSIONS if name not in ("read-only client", "gap too large", "stale client", "same id on a second connection")]


@pytest.mark.parametrize("name", PLAYED)
async def test_sessions(name: str, play: Play) -> None:
    await subscribe_first(play, SESSIONS[name])
    for step in SESSIONS[name]["steps"]:
        await play.step(step)


async def test_a_client_that_may_only_read(play: Play, settings: Any) -> None:
    await subscribe_first(play, SESSIONS["read-only client"])
    settings.GEOSTREAM_FILES_ANONYMOUS = "*=list read"
    for step in SESSIONS["read-only client"]["steps"]:
        await play.step(step)


async def test_the_same_id_on_a_second_connection(play: Play) -> None:
    first, second = await play.client("A1"), await play.client("A2")
    await first.subscribe("a")
    await second.subscribe("a")
    error = await first.receive()
    assert (error["type"], error["code"]) == ("Error", "replaced")
    assert (await first.closed())[0] == 4409
    assert await second.nothing()


async def test_a_gap_that_is_too_large(play: Play, folder: Folder) -> None:
    """The log has 500 to 900, the client was at 12."""
    from streaming.core.redis import async_redis

    for _ in range(3):
        await store(play.http, "documents/hello.txt")
        await play.http.request("DELETE", "/api/delete?path=documents/hello.txt")
    await folder.refresh()
    folder.index.replica.recent.clear()
    await async_redis().xtrim(folder.feed.log_key, minid="5-0", approximate=False)
    peer = await play.client("A")
    ack = await peer.subscribe("a", features=["seq"], since=2)
    assert ack == {"type": "Ack", "operation_id": "subscribe", "seq": 6, "resync": True, "features": ["seq"]}
    ack = await peer.subscribe("a", features=["seq"], since=4)
    assert ack["resync"] is False
    assert [(await peer.receive())["seq"] for _ in range(2)] == [5, 6]


async def test_a_number_of_the_future_or_of_another_epoch_is_a_gap(play: Play) -> None:
    peer = await play.client("A")
    ack = await peer.subscribe("a", features=["seq", "epoch"], since=7)
    assert ack["resync"] is True
    assert (await peer.subscribe("a", features=["seq"], since=0, epoch="another"))["resync"] is True
    assert (await peer.subscribe("a", features=["seq"], since=0, epoch=ack["epoch"]))["resync"] is False


async def test_a_silent_client_is_closed(play: Play, runtime: Runtime) -> None:
    peer = await play.client("A")
    await peer.subscribe("a")
    connection = peer.connection
    begin, loop_time = connection.received_at, asyncio.get_running_loop().time()
    for seconds in (60, 299):
        connection.tick(begin + seconds, loop_time)
        assert not connection.closing
    connection.received_at = begin + 240  # it sent a Ping
    connection.tick(begin + 539, loop_time)
    assert not connection.closing
    connection.tick(begin + 600, loop_time)
    assert (await peer.closed())[0] == 4408


async def test_a_move_across_the_border_of_the_patterns_is_a_create_or_a_delete(play: Play) -> None:
    peer = await play.client("A")
    await store(play.http, "layers/bern.geojson")
    await peer.subscribe("a", patterns=["layers/"])
    await play.http.post("/api/rename", {"from": "layers/bern.geojson", "to": "elsewhere/bern.geojson"})
    assert (await peer.receive())["operation"] == {"Delete": {"path": "layers/bern.geojson"}}
    await play.http.post("/api/rename", {"from": "elsewhere/bern.geojson", "to": "layers/bern.geojson"})
    assert list((await peer.receive())["operation"]) == ["Create"]
    await play.http.post("/api/rename", {"from": "layers/bern.geojson", "to": "layers/b.geojson"})
    assert (await peer.receive())["operation"] == {"Move": {"from": "layers/bern.geojson", "to": "layers/b.geojson"}}
    assert await peer.nothing()


async def test_what_a_client_missed_has_its_moves(play: Play) -> None:
    await store(play.http, "documents/hello.txt")
    await play.http.post("/api/rename", {"from": "documents/hello.txt", "to": "a.txt"})
    await play.http.request("DELETE", "/api/delete?path=a.txt")
    peer = await play.client("A")
    assert (await peer.subscribe("a", features=["seq"], since=1))["seq"] == 4
    moved, deleted = await peer.receive(), await peer.receive()
    assert (moved["operation"]["Move"]["to"], moved["seq"]) == ("a.txt", 3)
    assert (deleted["operation"], deleted["seq"]) == ({"Delete": {"path": "a.txt"}}, 4)


async def test_large_messages_are_compressed_for_those_who_asked(play: Play, settings: Any) -> None:
    settings.GEOSTREAM_FILES_GZIP_BYTES = 100
    peer = await play.client("A")
    await peer.subscribe("a", features=["gzip"])
    await store(play.http, "documents/hello.txt")
    assert isinstance(frame := await peer.receive_frame(), bytes) and frame.startswith(b"\x1f\x8b")
    import gzip

    assert json.loads(gzip.decompress(frame))["type"] == "FileOperation"
    await peer.send_bytes(gzip.compress(b'{"type":"Ping"}'))
    assert await peer.receive() == {"type": "Pong"}
    await peer.send_bytes(gzip.compress(b'{"type":"Ping"}' + b" " * 10_000_000))
    assert (await peer.receive())["code"] == "json"


async def test_directories_are_made_and_removed_by_message(play: Play, root: Any) -> None:
    peer = await play.client("A")
    await peer.subscribe("a")
    metadata = {"path": "new/dir", "size": 0, "hash": "", "modified": "2024-01-15T10:30:00Z", "is_directory": True}
    await peer.send(type="FileOperation", operation={"Create": {"metadata": metadata}})
    assert [(await peer.receive())["type"] for _ in range(2)] == ["Ack", "FileOperation"]
    assert (root / "new/dir").is_dir()
    await store(play.http, "documents/hello.txt")
    await peer.receive()
    refused = await peer.ask(type="FileOperation", operation={"Delete": {"path": "documents"}}, operation_id="1")
    assert (refused["code"], refused["operation_id"]) == ("not_empty", "1")
    await peer.send(type="FileOperation", operation={"Delete": {"path": "documents", "recursive": True}})
    assert [(await peer.receive())["type"] for _ in range(2)] == ["Ack", "FileOperation"]
    assert not (root / "documents").exists()


async def test_another_user_cannot_speak_for_a_client(
    play: Play, user_with: Callable[..., Awaitable[HttpPeer]], transactional_db: None
) -> None:
    anna, ben = await user_with("list", "read", "write"), await user_with("list", "read", "write")
    peer = await FilePeer(anna.headers["authorization"].removeprefix("Bearer ")).connect()
    await peer.subscribe("laptop")
    other = await FilePeer(ben.headers["authorization"].removeprefix("Bearer ")).connect()
    assert (await other.ask(type="Subscribe", client_id="laptop"))["code"] == "forbidden"
    assert (await ben.put("x.txt", b"x", x_client_id="laptop")).status == 403
    assert (await anna.put("x.txt", b"x", x_client_id="laptop")).status == 201
    assert (await peer.receive())["source_client"] == "laptop"
    await peer.close()
    await other.close()


async def test_announcements_are_only_of_what_may_be_listed(play: Play, user_with: Callable[..., Awaitable[HttpPeer]]) -> None:
    limited = await user_with("list", "read", limits={"files": {"maps": "list read"}})
    peer = await FilePeer(limited.headers["authorization"].removeprefix("Bearer ")).connect()
    await peer.subscribe("a")
    await play.http.put("secret/x.txt", b"x")
    await play.http.put("maps/y.txt", b"y")
    assert (await peer.receive())["operation"]["Create"]["metadata"]["path"] == "maps/y.txt"
    await peer.close()


async def test_clients_that_may_no_longer_read_are_told_nothing(play: Play, settings: Any) -> None:
    peer = await play.client("A")
    await peer.subscribe("a")
    settings.GEOSTREAM_FILES_ANONYMOUS = ""
    peer.connection.session.access_changed()
    assert (await peer.receive())["code"] == "forbidden"
    assert peer.connection.session.describe() == []


async def test_a_redis_that_forgot_the_folder_makes_clients_come_back(play: Play, folder: Folder) -> None:
    from streaming.core.redis import async_redis

    await store(play.http, "documents/hello.txt")
    peer = await play.client("A")
    await peer.subscribe("a")
    await async_redis().delete(*folder.feed.keys)
    await folder.refresh()
    peer.connection.tick(time.monotonic(), asyncio.get_running_loop().time())
    assert (await peer.closed())[0] == CloseCode.RESTART
    record = await folder.look("documents/hello.txt")  # the disk still has it
    assert record is not None and record.size == 6


def test_every_pattern_of_the_vectors() -> None:
    from streaming.files.operations import PathFilter

    for vector in VECTORS["patterns"]:
        filter = PathFilter(None, tuple(vector["patterns"]))
        assert {path: filter.allows(path) for path in vector["paths"]} == vector["paths"], vector


@pytest.mark.parametrize(
    "pattern", ["", "a" * 300, "*a*b*c", "x/*a*b*c/y", "**/a/**/a/**/b", "!**/a/**/a/**/b", "*a*/*b*", "*****b", "a***"]
)
async def test_patterns_that_take_long_are_refused(pattern: str, play: Play) -> None:
    peer = await play.client("A")
    assert (await peer.ask(type="Subscribe", client_id="a", patterns=[pattern]))["type"] == "Error"


async def test_a_client_is_shown_to_operators(play: Play, folder: Folder) -> None:
    peer = await play.client("A")
    await peer.subscribe("a", patterns=["*.tif"])
    (row,) = peer.connection.session.describe()
    assert (row["id"], row["feed"], row["filter"]) == ("a", "files", {"patterns": ["*.tif"]})
    assert OUTSIDE.client is None


def steps(count: int, start: int = 0) -> list[Step]:
    return [Step(f"many/{number:05}", FileRecord(number, "0" * 64, number)) for number in range(start, start + count)]


async def test_many_changes_are_announced_in_order(play: Play, folder: Folder) -> None:
    peer = await play.client("A")
    await peer.subscribe("a", features=["seq"])
    await folder.feed.write(steps(3000))
    assert [(await peer.receive())["seq"] for _ in range(3000)] == list(range(1, 3001))


async def test_many_missed_changes_come_before_those_of_now(play: Play, folder: Folder) -> None:
    await folder.feed.write(steps(3000))
    peer = await play.client("A")
    await peer.send(type="Subscribe", client_id="a", features=["seq"], since=500)
    await folder.feed.write(steps(10, start=3000))
    assert (await peer.receive())["type"] == "Ack"
    assert [(await peer.receive())["seq"] for _ in range(2510)] == list(range(501, 3011))


async def test_a_client_that_does_not_read_is_closed_and_comes_back(play: Play, folder: Folder, settings: Any) -> None:
    settings.GEOSTREAM_OUTBOX_MESSAGES = 100
    peer = await play.client("A")
    await peer.subscribe("a", features=["seq"])
    peer.stop_reading()
    await folder.feed.write(steps(1000))
    await folder.refresh()
    connection = peer.connection
    connection.tick(time.monotonic(), asyncio.get_running_loop().time())
    assert connection.closing
    peer.read_again()
    assert (await peer.closed())[0] == 4413
    again = await play.client("B")
    assert (await again.subscribe("a", features=["seq"], since=0))["resync"] is False
    assert [(await again.receive())["seq"] for _ in range(1000)] == list(range(1, 1001))


async def test_there_are_not_too_many_different_patterns(play: Play, settings: Any) -> None:
    settings.GEOSTREAM_FILES_FILTERS = 1
    first, second, third = [await play.client(name) for name in "ABC"]
    await first.subscribe("a", patterns=["*.tif"])
    assert (await second.ask(type="Subscribe", client_id="b", patterns=["*.png"]))["code"] == "too_many_filters"
    await second.subscribe("b", patterns=["*.tif"])
    await third.subscribe("c")
