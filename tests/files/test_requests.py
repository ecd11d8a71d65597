"""Lists by pages, ranges, long polls, plans and unfinished uploads: what the vectors leave open."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from streaming.core.errors import StreamError
from streaming.core.redis import async_redis
from streaming.engine.bans import Ban
from streaming.engine.runtime import Runtime
from streaming.files.folder import Folder
from streaming.files.folder_feed import LOCKS
from streaming.files.path_locks import PathLocks
from streaming.files.service import FilesService
from streaming.models import FileChange, TrashedFile

from .http_peer import HttpPeer

TUS = {"tus_resumable": "1.0.0"}


async def fill(http: HttpPeer, *paths: str) -> None:
    for path in paths:
        assert (await http.put(path, path.encode())).status == 201


# -- lists -----------------------------------------------------------------


async def test_a_list_comes_in_pages(http: HttpPeer) -> None:
    await fill(http, "a/1", "a/2", "a-b", "b")
    found: list[str] = []
    cursor, pages = "", 0
    while cursor is not None:
        page = (await http.get(f"/api/list?limit=2&cursor={cursor}")).json()
        found += [each["path"] for each in page["files"]]
        cursor, pages = page["cursor"], pages + 1
        assert page["seq"] == 4
    assert found == sorted(found) == ["a", "a-b", "a/1", "a/2", "b"] and pages == 3


async def test_a_list_of_one_level(http: HttpPeer) -> None:
    await fill(http, "a/1", "a/b/2", "a.x", "c")
    assert [each["path"] for each in (await http.get("/api/list?recursive=false")).json()] == ["a", "a.x", "c"]
    assert [each["path"] for each in (await http.get("/api/list?recursive=false&path=a")).json()] == ["a/1", "a/b"]
    assert (await http.get("/api/list?path=nothing")).status == 404


async def test_a_large_list_is_whole_and_may_be_compressed(http: HttpPeer, folder: Folder) -> None:
    from streaming.files.folder_feed import Step
    from streaming.files.metadata import FileRecord

    steps = [Step(f"dir/{number:05}", FileRecord(number, "0" * 64, number)) for number in range(2500)]
    await folder.feed.write(steps)
    answer = await http.get("/api/list", accept_encoding="gzip")
    found = json.loads(gzip.decompress(answer.body))
    assert [each["path"] for each in found] == ["dir", *(step.path for step in steps)]


async def test_a_list_of_an_unchanged_folder_is_not_sent_again(http: HttpPeer) -> None:
    await fill(http, "a")
    tag = (await http.get("/api/list")).headers["etag"]
    assert (await http.get("/api/list", if_none_match=tag)).status == 304
    await fill(http, "b")
    assert (await http.get("/api/list", if_none_match=tag)).status == 200


# -- downloads ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("range", "status", "body", "content_range"),
    [
        ("bytes=0-", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-30", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=4-100", 206, b"456789", "bytes 4-9/10"),
        ("bytes=10-", 416, None, None),
        ("bytes=5-4", 416, None, None),
        ("bytes=-0", 416, None, None),
        ("bytes=1-2,4-5", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
async def test_ranges(range: str, status: int, body: bytes | None, content_range: str | None, http: HttpPeer) -> None:
    await http.put("a.bin", b"0123456789")
    answer = await http.get("/api/download?path=a.bin", range=range)
    assert (answer.status, answer.headers.get("content-range")) == (status, content_range)
    assert body is None or answer.body == body


async def test_a_range_of_another_version_is_the_whole_file(http: HttpPeer) -> None:
    await http.put("a.bin", b"0123456789")
    answer = await http.get("/api/download?path=a.bin", range="bytes=0-1", if_range=f'"{"0" * 64}"')
    assert (answer.status, len(answer.body)) == (200, 10)


async def test_a_head_has_the_length_and_no_body(http: HttpPeer) -> None:
    await http.put("a.bin", b"0123456789")
    answer = await http.request("HEAD", "/api/download?path=a.bin")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "10", b"")


async def test_a_file_that_was_changed_behind_our_back_has_its_new_hash(http: HttpPeer, root: Path) -> None:
    await http.put("a.txt", b"old")
    (root / "a.txt").write_bytes(b"newer")
    answer = await http.get("/api/download?path=a.txt")
    assert (answer.body, answer.headers["etag"]) == (b"newer", f'"{sha256(b"newer").hexdigest()}"')
    (root / "b.txt").write_bytes(b"unknown")
    assert (await http.get("/api/download?path=b.txt")).body == b"unknown"
    (root / "a.txt").unlink()
    assert (await http.get("/api/download?path=a.txt")).status == 404


# -- changes -----------------------------------------------------------------


async def test_changes_since_a_number(http: HttpPeer) -> None:
    await fill(http, "a", "b")
    await http.post("/api/rename", {"from": "a", "to": "c"})
    answer = (await http.get("/api/changes?since=1")).json()
    assert [(next(iter(each["operation"])), each["seq"]) for each in answer["operations"]] == [("Create", 2), ("Move", 4)]
    assert (answer["seq"], answer["resync"]) == (4, False)
    assert (await http.get(f"/api/changes?since=4&epoch={answer['epoch']}")).json()["operations"] == []
    assert (await http.get("/api/changes?since=4&epoch=another")).json()["resync"] is True
    assert (await http.get("/api/changes?since=99")).json()["resync"] is True
    assert (await http.get("/api/changes")).json()["seq"] == 4


async def test_a_poll_waits_for_a_change(http: HttpPeer) -> None:
    polling = asyncio.create_task(http.get("/api/changes?since=0&wait=30"))
    await asyncio.sleep(0)
    await fill(http, "a")
    answer = (await polling).json()
    assert [each["seq"] for each in answer["operations"]] == [1]


# -- plans -------------------------------------------------------------------


async def test_a_plan_for_the_first_contact(http: HttpPeer) -> None:
    await fill(http, "same", "theirs", "different/x")
    files = [described("same", b"same"), described("mine", b"mine"), described("different/x", b"other"), described("different", None)]
    plan = (await http.post("/api/sync", {"client_id": "c", "files": files})).json()
    assert plan["upload"] == [{"path": "mine", "base": None}]
    assert [each["path"] for each in plan["download"]] == ["theirs"]
    assert [each["path"] for each in plan["conflicts"]] == ["different/x"]
    assert plan["delete"] == plan["delete_remote"] == [] and plan["resync"] is True


async def test_a_plan_for_a_client_that_comes_back(http: HttpPeer) -> None:
    await fill(http, "kept", "edited-here", "edited-there", "deleted-here", "deleted-there", "both")
    since = (await http.get("/api/changes")).json()["seq"]
    files = [described(path, path.encode()) for path in ("kept", "edited-there", "deleted-there")]
    files += [described("edited-here", b"!"), described("both", b"mine")]
    await http.put("edited-there", b"new")
    await http.put("both", b"theirs")
    await http.request("DELETE", "/api/delete?path=deleted-there")
    plan = (await http.post("/api/sync", {"client_id": "c", "files": files, "since": since})).json()
    assert plan["upload"] == [{"path": "edited-here", "base": sha256(b"edited-here").hexdigest()}]
    assert [each["path"] for each in plan["download"]] == ["edited-there"]
    assert [each["path"] for each in plan["delete"]] == ["deleted-there"]
    assert plan["delete_remote"] == [{"path": "deleted-here", "base": sha256(b"deleted-here").hexdigest()}]
    assert [each["path"] for each in plan["conflicts"]] == ["both"]


def described(path: str, content: bytes | None) -> dict[str, Any]:
    hash = "" if content is None else sha256(content).hexdigest()
    return {"path": path, "size": len(content or b""), "hash": hash, "modified": "2024-01-15T10:30:00Z", "is_directory": content is None}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"client_id":1}', b'{"client_id":"c","files":[{"path":"../x"}]}'])
async def test_a_plan_of_nonsense_is_refused(body: bytes, http: HttpPeer) -> None:
    assert (await http.request("POST", "/api/sync", body)).status == 400


# -- uploads -----------------------------------------------------------------


async def test_a_form_may_name_the_path(http: HttpPeer) -> None:
    boundary = "frontier"
    parts = [("path", "", b"dir/from-form.txt"), ("file", '; filename="x.txt"', b"one\r\n--frontie\r\ntwo"), ("note", "", b"ignored")]
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"
        for name, more, value in parts
    )
    body += f"--{boundary}--\r\n".encode()
    answer = await http.request("POST", "/api/upload", body, content_type=f"multipart/form-data; boundary={boundary}")
    assert (answer.status, answer.json()["path"], answer.json()["size"]) == (201, "dir/from-form.txt", 19)


@pytest.mark.parametrize("body", [b"", b"--frontier\r\n", b"nonsense", b"--frontier--\r\n"])
async def test_a_form_that_is_none_leaves_nothing(body: bytes, http: HttpPeer, root: Path) -> None:
    answer = await http.request("POST", "/api/upload?path=a", body, content_type="multipart/form-data; boundary=frontier")
    assert answer.status == 400
    assert (await http.get("/api/list")).json() == [] == os.listdir(root / ".hub-uploads")


async def test_a_full_folder_takes_nothing_more(http: HttpPeer, settings: Any) -> None:
    settings.GEOSTREAM_FILES_QUOTA_BYTES = 10
    assert (await http.put("a", b"123456")).status == 201
    answer = await http.put("b", b"123456")
    assert (answer.status, answer.code) == (507, "quota")
    assert (await http.put("a", b"1234567890")).status == 200  # in the place of the other
    settings.GEOSTREAM_FILES_QUOTA_BYTES = 0
    settings.GEOSTREAM_FILES_FREE_BYTES = 2**60
    assert (await http.put("b", b"1")).code == "quota"


async def test_a_directory_holds_so_many(http: HttpPeer, settings: Any) -> None:
    settings.GEOSTREAM_FILES_MOST_IN_DIRECTORY = 2
    await fill(http, "d/1", "d/2")
    assert (await http.put("d/3", b"x")).code == "quota"
    assert (await http.put("d/1", b"y")).status == 200
    await fill(http, "e/1")


async def test_what_was_deleted_and_replaced_can_be_restored(http: HttpPeer, service: FilesService, folder: Folder) -> None:
    await http.put("a.txt", b"first", x_client_id="me")
    await http.put("a.txt", b"second")
    await http.request("DELETE", "/api/delete?path=a.txt")
    assert service.audit is not None
    await service.audit.flush()
    rows = [(row.path, row.replaced, row.id) async for row in TrashedFile.objects.order_by("at")]
    assert [row[:2] for row in rows] == [("a.txt", True), ("a.txt", False)]
    changes = [(row.action, row.client, bool(row.hash_before)) async for row in FileChange.objects.order_by("id")]
    assert changes == [("upload", "me", False), ("upload", "", True), ("delete", "", True)]
    from streaming.files.changes import Actor

    await folder.restore(rows[0][2], "back/a.txt", Actor("admin"))
    assert (await http.get("/api/download?path=back/a.txt")).body == b"first"


async def test_empty_directories_go_with_their_last_file(http: HttpPeer, root: Path) -> None:
    await fill(http, "made/by/file.txt")
    await http.post("/api/mkdir", {"path": "kept"})
    await fill(http, "kept/file.txt")
    await http.request("DELETE", "/api/delete?path=made/by/file.txt")
    await http.request("DELETE", "/api/delete?path=kept/file.txt")
    assert [each["path"] for each in (await http.get("/api/list")).json()] == ["kept"]
    assert sorted(path.name for path in root.iterdir() if not path.name.startswith(".hub")) == ["kept"]


async def test_uploads_of_one_path_come_one_after_the_other(http: HttpPeer, folder: Folder) -> None:
    contents = [b"%d" % number for number in range(12)]
    answers = await asyncio.gather(*(http.put("a.txt", content) for content in contents))
    assert sorted(answer.status for answer in answers) == [200] * 11 + [201]
    final = (await http.get("/api/download?path=a.txt")).body
    assert (await folder.feed.record("a.txt")).hash == sha256(final).hexdigest()  # type: ignore[union-attr]
    old = f'"{sha256(final).hexdigest()}"'
    racing = await asyncio.gather(*(http.put("a.txt", b"v%d" % number, if_match=old) for number in range(6)))
    assert sorted(answer.status for answer in racing) == [200] + [412] * 5


async def test_a_lock_waits_for_paths_above_and_below(folder: Folder) -> None:
    key = LOCKS
    hasty = PathLocks(key, folder.feed.keys[0], patience=0.05)
    async with folder.locks.hold("a/b"):
        for path in ("a", "a/b", "A/B/c"):
            with pytest.raises(Exception, match="somebody else"):
                async with hasty.hold(path):
                    pass
        async with hasty.hold("a/bc", "c"):
            pass
    async with hasty.hold("a"):
        assert await async_redis().hlen(key) == 1
    assert await async_redis().hlen(key) == 0


async def test_a_lock_of_a_process_that_died_ends(folder: Folder) -> None:
    await async_redis().hset(LOCKS, "a", "1000 dead")  # type: ignore[misc]
    async with folder.locks.hold("a"):
        pass


# -- resumable uploads -------------------------------------------------------


async def begin(http: HttpPeer, path: str, content: bytes, **headers: str) -> str:
    metadata = ",".join(
        f"{name} {b64encode(value.encode()).decode()}" for name, value in (("path", path), ("sha256", sha256(content).hexdigest()))
    )
    answer = await http.request("POST", "/api/tus/", upload_length=str(len(content)), upload_metadata=metadata, **TUS, **headers)
    assert answer.status == 201
    return answer.headers["location"]


async def part(http: HttpPeer, url: str, offset: int, data: Any, **more: Any) -> int:
    kind = "application/offset+octet-stream"
    return (await http.request("PATCH", url, data, upload_offset=str(offset), content_type=kind, **TUS, **more)).status


async def offset(http: HttpPeer, url: str) -> str:
    return (await http.request("HEAD", url, **TUS)).headers["upload-offset"]


async def test_an_upload_goes_on_where_it_broke_off(http: HttpPeer) -> None:
    content = os.urandom(300_000)
    url = await begin(http, "big.bin", content)
    assert await part(http, url, 0, [content[:100_000]], leaves=True) == 0
    assert await offset(http, url) == "100000"
    assert await part(http, url, 100_000, content[100_000:]) == 204
    assert (await http.get("/api/download?path=big.bin")).body == content
    answer = await http.request("HEAD", url, **TUS)
    assert (answer.status, answer.headers["tus-resumable"]) == (404, "1.0.0")


async def test_a_part_with_a_checksum_is_taken_whole_or_not_at_all(http: HttpPeer, folder: Folder) -> None:
    url = await begin(http, "a.bin", b"0123456789")
    right = f"sha256 {b64encode(sha256(b'01234').digest()).decode()}"
    assert await part(http, url, 0, [b"012"], leaves=True, upload_checksum=right) == 0
    assert await offset(http, url) == "0"
    assert await part(http, url, 0, b"01235", upload_checksum=right) == 460
    assert await offset(http, url) == "0"
    # A process that is killed in the middle cannot take back what it wrote.
    id = url.rpartition("/")[2]
    note = json.loads(folder.store.staging.read(f"tus-{id}.json") or b"")
    folder.store.staging.write(f"tus-{id}.json", json.dumps({**note, "checked": 0}).encode())
    staged = folder.store.staging.resume(f"tus-{id}")
    staged.write(b"01")
    staged.close()
    assert await offset(http, url) == "0"
    assert await part(http, url, 0, b"01234", upload_checksum=right) == 204
    assert await part(http, url, 5, b"56789") == 204


async def test_an_upload_that_is_not_what_it_was_to_be_is_forgotten(http: HttpPeer, root: Path) -> None:
    url = await begin(http, "a.bin", b"0123456789")
    assert await part(http, url, 0, b"9876543210") == 422
    assert (await http.request("HEAD", url, **TUS)).status == 404
    assert (await http.get("/api/list")).json() == [] == os.listdir(root / ".hub-uploads")


async def test_a_condition_holds_when_the_upload_is_complete(http: HttpPeer) -> None:
    url = await begin(http, "a.bin", b"01", if_none_match="*")
    await http.put("a.bin", b"somebody else's")
    assert await part(http, url, 0, b"01") == 412
    assert (await http.get("/api/download?path=a.bin")).body == b"somebody else's"


async def test_an_upload_is_ended_or_forgotten(http: HttpPeer, settings: Any) -> None:
    url = await begin(http, "a.bin", b"01")
    assert (await http.request("DELETE", url, **TUS)).status == 204
    assert (await http.request("HEAD", url, **TUS)).status == 404
    url = await begin(http, "a.bin", b"01")
    settings.GEOSTREAM_FILES_TUS_SECONDS = 1
    from unittest.mock import patch

    with patch("streaming.files.http.tus.time.time", return_value=9e9):
        assert (await http.request("HEAD", url, **TUS)).status == 404


async def test_an_empty_upload_and_one_that_comes_with_its_creation(http: HttpPeer) -> None:
    await begin(http, "empty.bin", b"")
    assert (await http.get("/api/download?path=empty.bin")).body == b""
    answer = await http.request(
        "POST",
        "/api/files/tus",
        b"01",
        upload_length="2",
        upload_metadata="path YQ==",
        content_type="application/offset+octet-stream",
        **TUS,
    )
    assert (answer.status, answer.headers["upload-offset"]) == (201, "2")
    assert (await http.get("/api/download?path=a")).body == b"01"


async def test_pages_of_other_sites(http: HttpPeer, settings: Any) -> None:
    settings.GEOSTREAM_ALLOWED_ORIGINS = "https://maps.example"
    answer = await http.request("OPTIONS", "/api/tus/", origin="https://maps.example", access_control_request_method="POST")
    assert answer.headers["access-control-allow-origin"] == "https://maps.example"
    assert "upload-offset" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in (await http.get("/api/list", origin="https://evil.example")).headers


async def test_lengths_that_are_none_are_refused(http: HttpPeer) -> None:
    for length in ("abc", "-1", "1" * 30):
        assert (await http.put("a", b"x", content_length=length)).status == 400


async def test_without_redis_requests_are_answered_with_503(http: HttpPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_runtime() -> None:
        raise StreamError("redis_unavailable", "Redis does not answer")

    monkeypatch.setattr("streaming.files.http.application.get_runtime", no_runtime)
    answer = await http.put("a", b"x")
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "redis_unavailable", "1")


async def test_what_a_slow_connection_has_brought_stays(http: HttpPeer, settings: Any) -> None:
    settings.GEOSTREAM_FILES_IDLE_SECONDS = 0.1
    url = await begin(http, "a.bin", b"0123456789")

    async def stopping() -> AsyncIterator[bytes]:
        yield b"0123"
        await asyncio.Event().wait()

    assert await part(http, url, 0, stopping()) == 400
    assert await offset(http, url) == "4"
    assert await part(http, url, 4, [b"456789", b"too much"]) == 413
    assert await offset(http, url) == "4"
    assert await part(http, url, 4, b"456789") == 204


async def test_no_lock_outlives_what_it_was_held_for(http: HttpPeer) -> None:
    await http.put("a/b.txt", b"x")
    await http.put("a/b.txt", b"y")
    await http.put("a/b.txt", b"y")
    await http.post("/api/rename", {"from": "a/b.txt", "to": "c.txt"})
    await http.put("c.txt", b"z", if_match=f'"{"0" * 64}"')
    await http.request("DELETE", "/api/delete?path=c.txt")
    assert await async_redis().hlen(LOCKS) == 0  # type: ignore[misc]


# -- bans ------------------------------------------------------------------


async def test_who_is_banned_is_refused(http: HttpPeer, runtime: Runtime) -> None:
    now = time.time()
    runtime.connections.bans.replace([Ban("address", http.address, http.address, now + 60, now, "admin")])
    answer = await http.get("/api/list")
    assert (answer.status, answer.code) == (403, "banned")
