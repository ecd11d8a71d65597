"""Many small files in one request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streaming.files.folder import Folder
from streaming.models import FileChange

from .http_peer import Answer, HttpPeer

MSGPACK = "application/msgpack"
SecondClient = Callable[..., Awaitable[HttpPeer]]


def hash_of(content: bytes) -> str:
    return sha256(content).hexdigest()


async def send(http: HttpPeer, *entries: dict[str, Any]) -> Answer:
    return await http.request("POST", "/api/upload-many", msgspec.msgpack.encode(entries), content_type=MSGPACK)


async def upload(http: HttpPeer, *entries: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await send(http, *entries)
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json()["files"]
    return found


async def fetch(http: HttpPeer, *paths: str) -> list[dict[str, Any]]:
    answer = await http.request("POST", "/api/download-many", msgspec.json.encode({"paths": paths}))
    assert answer.status == 200 and answer.headers["content-type"] == MSGPACK
    found: list[dict[str, Any]] = msgspec.msgpack.decode(answer.body)
    return found


def codes(answers: list[dict[str, Any]]) -> list[str]:
    return [each["error"]["code"] if "error" in each else "" for each in answers]


async def test_files_and_directories_are_stored_announced_and_noted_one_by_one(http: HttpPeer, folder: Folder, root: Path) -> None:
    done = await upload(
        http, {"path": "d"}, {"path": "d/a", "content": b"one", "modified": "2024-01-15T10:30:00Z"}, {"path": "e/f/b", "content": b""}
    )
    assert [(each["path"], each["hash"], each["is_directory"]) for each in done] == [
        ("d", "", True),
        ("d/a", hash_of(b"one"), False),
        ("e/f/b", hash_of(b""), False),
    ]
    assert done[1]["modified"] == "2024-01-15T10:30:00Z"
    assert (root / "d/a").read_bytes() == b"one" and (root / "e/f/b").read_bytes() == b""
    assert not list((root / ".hub-uploads").iterdir())
    changes = (await http.get("/api/changes?since=0")).json()
    assert [next(iter(each["operation"])) for each in changes["operations"]] == ["Create"] * 3 and changes["seq"] == 3


async def test_what_is_there_already_is_not_announced_again(http: HttpPeer) -> None:
    await upload(http, {"path": "d"}, {"path": "d/a", "content": b"one"})
    assert codes(await upload(http, {"path": "d"}, {"path": "d/a", "content": b"one"})) == ["", ""]
    assert (await http.get("/api/list?limit=10")).json()["seq"] == 2


async def test_what_is_wrong_with_one_does_not_keep_the_others(http: HttpPeer) -> None:
    await upload(http, {"path": "old", "content": b"old"})
    done = await upload(
        http,
        {"path": "../x", "content": b"x"},
        {"path": "old", "content": b"new", "base": None},
        {"path": "old", "content": b"new", "base": "0" * 64},
        {"path": "old/inside", "content": b"x"},
        {"path": "A", "content": b"x"},
        {"path": "a", "content": b"x"},
        {"path": "good", "content": b"good", "base": None},
    )
    assert codes(done) == ["path", "exists", "changed", "not_a_directory", "", "case_conflict", ""]
    assert [each.get("status", 200) for each in done] == [400, 412, 412, 409, 200, 409, 200]
    assert done[1]["current"]["hash"] == hash_of(b"old")
    paths = [each["path"] for each in (await http.get("/api/list")).json()]
    assert paths == ["A", "good", "old"]


async def test_an_older_version_is_replaced_and_kept_in_the_trash(http: HttpPeer, root: Path) -> None:
    await upload(http, {"path": "a", "content": b"one"})
    assert codes(await upload(http, {"path": "a", "content": b"two", "base": hash_of(b"one")})) == [""]
    (kept,) = (root / ".hub-trash").iterdir()
    assert kept.read_bytes() == b"one" and (root / "a").read_bytes() == b"two"


async def test_a_file_that_was_changed_behind_the_servers_back_is_not_overwritten(http: HttpPeer, root: Path) -> None:
    await upload(http, {"path": "a", "content": b"one"}, {"path": "b", "content": b"one"})
    (root / "a").write_bytes(b"edited by hand")
    done = await upload(
        http, {"path": "a", "content": b"two", "base": hash_of(b"one")}, {"path": "b", "content": b"two", "base": hash_of(b"one")}
    )
    assert codes(done) == ["changed", ""] and done[0]["current"]["hash"] == hash_of(b"edited by hand")
    assert (root / "a").read_bytes() == b"edited by hand"


async def test_the_limits_of_a_bundle(http: HttpPeer, settings: Any) -> None:
    settings.GEOSTREAM_FILES_BUNDLE, settings.GEOSTREAM_FILES_BUNDLE_BYTES = 2, 2000
    many = [{"path": str(number), "content": b"x"} for number in range(3)]
    assert (await send(http, *many)).code == "bad_request"
    assert (await send(http, {"path": "a", "content": bytes(2001)})).code == "too_large"
    assert (await http.request("POST", "/api/download-many", b'{"paths": ["a", "b", "c"]}')).code == "bad_request"
    await http.put("large", bytes(1500))
    await http.put("small", bytes(500))
    await http.put("other", bytes(600))
    assert codes(await fetch(http, "large", "other")) == ["", "too_large"]
    assert codes(await fetch(http, "large", "small")) == ["", ""]


@pytest.mark.parametrize("body", [b"", b"\x91", b"\xc1", b"\x91\x81\xa4path\x07", b"\x91" * 5000, b"[]"], ids=lambda body: body[:8].hex())
async def test_what_is_no_bundle_is_refused(http: HttpPeer, body: bytes) -> None:
    answer = await http.request("POST", "/api/upload-many", body, content_type=MSGPACK)
    assert answer.status == 400 and answer.code == "bad_request"


async def test_files_are_downloaded_together(http: HttpPeer, root: Path) -> None:
    await upload(http, {"path": "d"}, {"path": "d/a", "content": b"one"}, {"path": "b", "content": b"two"})
    (root / "b").write_bytes(b"changed behind the server's back")
    found = await fetch(http, "d/a", "d", "nothing", "b", "../x")
    assert codes(found) == ["", "is_directory", "not_found", "busy", "path"]
    assert found[0] == {"path": "d/a", "hash": hash_of(b"one"), "content": b"one"}


async def test_each_file_takes_its_own_right(user_with: SecondClient, folder: Folder, http: HttpPeer, settings: Any) -> None:
    await upload(http, {"path": "maps/a", "content": b"one"}, {"path": "b", "content": b"two"})
    settings.GEOSTREAM_FILES_ANONYMOUS = ""
    surveyor = await user_with("list", "read", "write", limits={"files": {"maps": "list read write"}})
    assert codes(await upload(surveyor, {"path": "maps/c", "content": b"x"}, {"path": "d", "content": b"x"})) == ["", "forbidden"]
    assert codes(await fetch(surveyor, "maps/a", "b")) == ["", "forbidden"]
    assert (await send(await user_with("list"), {"path": "maps/c"})).status == 403


async def test_a_bundle_is_in_the_audit(http: HttpPeer, folder: Folder, service: Any) -> None:
    await upload(http, {"path": "d"}, {"path": "d/a", "content": b"one"})
    await service.audit.flush()
    rows = [(each.action, each.path, each.size) async for each in FileChange.objects.order_by("id")]
    assert rows == [("mkdir", "d", 0), ("upload", "d/a", 3)]
