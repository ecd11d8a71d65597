"""Small files go many at a time; what a server does with such a request is believed no more than anything else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from streaming.client.sync.bundles import MOST_BYTES, MOST_FILES, SMALL_BYTES, bundled
from streaming.client.sync.plan import Content, Step

from .test_hostile_server import Client, Server, hash_of, metadata

FILES = {name: f"this is {name}" for name in "abcd"}


@pytest.fixture
def server() -> Server:
    return Server(**FILES)


@pytest.fixture
def client(tmp_path: Path, server: Server) -> Iterator[Client]:
    client = Client(tmp_path, server)
    yield client
    client.folder.close()
    client.state.close()


def upload(number: int, size: int) -> Step:
    return Step("upload", str(number), Content("5" * 64, size), None, None)


def download(number: int, size: int) -> Step:
    return Step("download", str(number), None, Content("5" * 64, size), None)


def test_small_files_of_one_direction_are_grouped_in_their_order() -> None:
    steps = [upload(1, 1), upload(2, 2), download(3, 3), upload(4, 4), upload(5, SMALL_BYTES + 1), upload(6, 6)]
    assert [[step.path for step in group] for group in bundled(steps)] == [["1", "2"], ["3"], ["4"], ["5"], ["6"]]


def test_a_group_has_an_end() -> None:
    assert [len(group) for group in bundled(upload(number, 1) for number in range(MOST_FILES + 1))] == [MOST_FILES, 1]
    sizes = [sum(step.size for step in group) for group in bundled(upload(number, SMALL_BYTES) for number in range(100))]
    assert max(sizes) <= MOST_BYTES and len(sizes) == 2


def given(server: Server, **contents: str | None) -> None:
    """What the server answers to a download of many."""

    def answer(request: httpx.Request) -> httpx.Response:
        entries: list[dict[str, Any]] = []
        for path in json.loads(request.content)["paths"]:
            text = contents.get(path, server.files[path])
            entries.append({"path": path, "status": 423} if text is None else {"path": path, "content": text.encode()})
        return httpx.Response(200, content=msgspec.msgpack.encode(entries))

    server.answers["download-many"] = answer


async def test_files_come_in_one_request(client: Client, server: Server) -> None:
    given(server)
    assert (await client.sync()).done["download"] == 4
    assert client.tree() == FILES and [request.url.path.rpartition("/")[2] for request in server.requests] == ["list", "download-many"]


@pytest.mark.parametrize("wrong", ["something else", None])
async def test_what_is_missing_or_wrong_in_the_answer_is_asked_for_alone(client: Client, server: Server, wrong: str | None) -> None:
    given(server, b=wrong)
    assert (await client.sync()).done["download"] == 4
    assert client.tree() == FILES and server.sent("GET").count("b") == 1


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(404), httpx.Response(500), httpx.Response(200, content=b"\xc1"), httpx.Response(200, content=bytes(200_000))],
    ids=["404", "500", "not MessagePack", "too long"],
)
async def test_a_server_that_has_no_bundles_or_answers_nonsense_is_asked_for_one_after_the_other(
    client: Client, server: Server, answer: httpx.Response
) -> None:
    server.answers["download-many"] = answer
    assert (await client.sync()).done["download"] == 4
    assert client.tree() == FILES


async def test_paths_that_were_not_asked_for_are_not_written(client: Client, server: Server) -> None:
    entries = [{"path": path, "content": b"x"} for path in ("../x", "/x", "e")]
    server.answers["download-many"] = httpx.Response(200, content=msgspec.msgpack.encode(entries))
    await client.sync()
    assert client.tree() == FILES and not (client.home / "x").exists()


async def test_files_go_up_in_one_request_and_those_that_were_not_taken_alone(client: Client, server: Server) -> None:
    server.files = {}
    for name, text in FILES.items():
        client.write(name, text)

    def take(request: httpx.Request) -> httpx.Response:
        entries = msgspec.msgpack.decode(request.content)
        for entry in entries:
            if entry["path"] != "c":
                server.files[entry["path"]] = entry["content"].decode()
        refusal = {"path": "c", "status": 423, "error": {"code": "busy", "message": ""}}
        taken = [metadata(path, text) for path, text in server.files.items()]
        return httpx.Response(200, json={"files": [*taken, refusal]})

    def put(request: httpx.Request) -> httpx.Response:
        assert request.headers["x-content-sha256"] == hash_of(FILES["c"]) and request.headers["if-none-match"] == "*"
        server.files["c"] = FILES["c"]
        return httpx.Response(201, json=metadata("c", FILES["c"]))

    server.answers |= {"upload-many": take, "upload": put}
    assert (await client.sync()).done["upload"] == 4
    assert server.files == FILES and server.sent("PUT") == ["c"]
    assert not (await client.sync()).done, "nothing is left to be done"
