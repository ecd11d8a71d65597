"""A hostile client: nothing is left of what it breaks off, and nothing lies."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from streaming.files.folder import Folder
from streaming.files.service import FilesService
from tests.dialects.file_sync.peer import FilePeer

from .http_peer import HttpPeer
from .on_disk import everything


async def test_a_hash_that_is_a_lie_leaves_nothing(root: Path, http: HttpPeer) -> None:
    lie = sha256(b"something else").hexdigest()
    assert (await http.put("a.txt", b"content", x_content_sha256=lie)).status == 422
    assert (await http.put("a.txt", b"content", repr_digest="sha-256=:AAAA:")).status == 400
    assert (await http.put("a.txt", b"content", x_content_sha256=sha256(b"content").hexdigest().upper())).status == 201
    assert everything(root) == {"a.txt": b"content"}


async def test_a_body_without_an_end_is_cut_off(root: Path, http: HttpPeer, settings: Any) -> None:
    settings.GEOSTREAM_FILES_MAX_BYTES = 1_000_000
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 100_000
            yield b"x" * 100_000

    answer = await http.put("a.bin", endless())
    assert (answer.status, answer.code) == (413, "too_large")
    assert sent <= 1_200_000
    assert everything(root) == {}


async def test_a_body_that_stops_is_given_up(root: Path, http: HttpPeer, settings: Any) -> None:
    settings.GEOSTREAM_FILES_IDLE_SECONDS = 0.1

    async def stopping() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    assert (await http.put("a.bin", stopping())).status == 400
    assert everything(root) == {}


async def test_a_client_that_leaves_in_the_middle_leaves_nothing(root: Path, http: HttpPeer) -> None:
    answer = await http.request("PUT", "/api/upload?path=a.bin", [b"x" * 2_000_000], leaves=True)
    assert answer.status == 0
    assert everything(root) == {}


async def test_what_would_run_in_a_browser_is_only_downloaded(http: HttpPeer) -> None:
    await http.put("evil.html", b"<script>alert(1)</script>")
    headers = (await http.get("/api/download?path=evil.html")).headers
    assert headers["content-disposition"].startswith("attachment")
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]
    assert headers["content-type"] == "application/octet-stream"


async def test_names_of_downloads_cannot_end_the_header(http: HttpPeer) -> None:
    await http.put(quote("a'; x=y.txt"), b"x")
    await http.put(quote("ü\u2028b.txt"), b"x")
    answer = await http.get(f"/api/download?path={quote(chr(39).join(['a', '; x=y.txt']))}")
    assert answer.status == 200 and "\n" not in answer.headers["content-disposition"]


async def test_a_cookie_alone_changes_nothing(folder: Folder, settings: Any, transactional_db: None) -> None:
    """A page of another site cannot have its visitor's browser delete files."""
    from channels.db import database_sync_to_async
    from django.contrib.auth.models import User
    from django.test import Client

    settings.GEOSTREAM_FILES_ANONYMOUS = ""

    @database_sync_to_async
    def log_in() -> str:
        client = Client()
        client.force_login(User.objects.create_superuser("admin"))
        return f"sessionid={client.cookies['sessionid'].value}"

    cookie = await log_in()
    visitor = HttpPeer({"cookie": cookie})
    assert (await visitor.get("/api/list")).status == 200
    answer = await visitor.put("a.txt", b"x")
    assert (answer.status, answer.code) == (403, "forbidden")
    token = "a" * 32
    page = HttpPeer({"cookie": f"{cookie}; csrftoken={token}", "x-csrftoken": token})
    assert (await page.put("a.txt", b"x")).status == 201
    elsewhere = HttpPeer({**page.headers, "origin": "https://evil.example"})
    assert (await elsewhere.put("b.txt", b"x")).status == 403


async def test_other_names_of_the_server_are_refused(http: HttpPeer) -> None:
    assert (await http.get("/api/list", host="evil.example")).status == 400


async def test_nobody_asks_too_often(http: HttpPeer, settings: Any) -> None:
    settings.GEOSTREAM_FILES_REQUESTS_PER_SECOND, settings.GEOSTREAM_FILES_REQUESTS_BURST = 0.1, 3
    statuses = [(await http.get("/api/list")).status for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    assert (await HttpPeer(address="192.0.2.1").get("/api/list")).status == 200


async def test_nobody_has_too_many_uploads_going_on(http: HttpPeer, settings: Any) -> None:
    settings.GEOSTREAM_FILES_UPLOADS_AT_ONCE = 1
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        began.set()
        await go_on.wait()

    first = asyncio.create_task(http.put("a.txt", slow()))
    await began.wait()
    assert (await http.put("b.txt", b"x")).status == 429
    go_on.set()
    assert (await first).status == 201
    assert (await http.put("b.txt", b"x")).status == 201


async def test_announcements_that_lie_reach_nobody(http: HttpPeer) -> None:
    liar, other = await FilePeer().connect(), await FilePeer().connect()
    await liar.subscribe("liar")
    await other.subscribe("other")
    metadata = {"path": "../../etc/passwd", "size": 1, "hash": "0" * 64, "modified": "2024-01-15T10:30:00Z", "is_directory": False}
    assert (await liar.ask(type="FileOperation", operation={"Create": {"metadata": metadata}}))["code"] == "dot_segment"
    metadata["path"] = "a.txt"
    assert (await liar.ask(type="FileOperation", operation={"Create": {"metadata": metadata}}))["code"] == "not_stored"
    assert await other.nothing()
    await liar.close()
    await other.close()


@pytest.mark.parametrize("metadata", ["path Li4vLi4vZXRjL3Bhc3N3ZA==", "path LmhvbWUA", "filename L2V0Yy9wYXNzd2Q=", ""])
async def test_resumable_uploads_go_nowhere_else(metadata: str, http: HttpPeer) -> None:
    answer = await http.request("POST", "/api/tus/", tus_resumable="1.0.0", upload_length="1", upload_metadata=metadata)
    assert answer.status == 400


async def test_resumable_uploads_are_their_users(folder: Folder, user_with: Any, settings: Any) -> None:
    settings.GEOSTREAM_FILES_ANONYMOUS = ""
    anna, ben = await user_with("write"), await user_with("write")
    created = await anna.request("POST", "/api/tus/", tus_resumable="1.0.0", upload_length="1", upload_metadata="path YQ==")
    assert created.status == 201
    assert (await ben.request("HEAD", created.headers["location"], tus_resumable="1.0.0")).status == 404
    assert (await ben.request("DELETE", created.headers["location"], tus_resumable="1.0.0")).status == 404
    assert (await anna.request("HEAD", created.headers["location"], tus_resumable="1.0.0")).status == 200
    for id in ("..%2f..%2fx", "tus-x", "0" * 31, "0" * 32 + "/x"):
        assert (await anna.request("HEAD", f"/api/tus/{id}", tus_resumable="1.0.0")).status in (401, 404)


async def test_what_is_in_a_directory_keeps_the_rules_when_that_is_moved(root: Path, http: HttpPeer) -> None:
    """Else nobody could name it any more, and it would be announced as deleted."""
    deep, long = "/".join("abcdefghijklmnopqrst"), "x" * 250
    await http.put(f"dir/{deep}", b"x")
    await http.put(f"other/{long}", b"x")
    assert (await http.post("/api/rename", {"from": "dir", "to": f"new/{deep}"})).code == "path"
    assert (await http.post("/api/rename", {"from": "other", "to": "/".join(["y" * 250] * 4)})).code == "path"
    assert set(everything(root)) == {f"dir/{deep}", f"other/{long}"}


async def test_directories_that_are_implied_count_as_well(http: HttpPeer, settings: Any) -> None:
    settings.GEOSTREAM_FILES_MOST_IN_DIRECTORY = 2
    await http.put("a/x", b"x")
    await http.put("b/x", b"x")
    assert (await http.put("c/x", b"x")).code == "quota"
    await http.put("a/y", b"x")
    assert (await http.post("/api/rename", {"from": "b/x", "to": "a/z"})).code == "quota"
    assert (await http.post("/api/rename", {"from": "a/y", "to": "a/z"})).status == 200
    settings.GEOSTREAM_FILES_MOST = 5
    assert (await http.put("b/y", b"x")).code == "quota"


async def test_a_directory_is_deleted_alone_only_if_it_is_empty_on_the_disk(root: Path, http: HttpPeer) -> None:
    await http.post("/api/mkdir", {"path": "dir"})
    (root / "dir/not announced yet").write_text("x")
    assert (await http.request("DELETE", "/api/delete?path=dir")).code == "not_empty"
    (root / "dir/not announced yet").unlink()
    assert (await http.request("DELETE", "/api/delete?path=dir")).status == 204


async def test_nobody_has_too_many_unfinished_uploads(http: HttpPeer, settings: Any) -> None:
    settings.GEOSTREAM_FILES_UNFINISHED_UPLOADS = 2

    async def create(peer: HttpPeer = http) -> Any:
        return await peer.request("POST", "/api/tus/", tus_resumable="1.0.0", upload_length="1", upload_metadata="path YQ==")

    first, _ = await create(), await create()
    assert (await create()).status == 429
    assert (await create(HttpPeer(address="192.0.2.1"))).status == 201
    assert (await http.request("DELETE", first.headers["location"], tus_resumable="1.0.0")).status == 204
    second = await create()
    more = {"tus_resumable": "1.0.0", "upload_offset": "0", "content_type": "application/offset+octet-stream"}
    assert (await http.request("PATCH", second.headers["location"], b"x", **more)).status == 204
    assert (await create()).status == 201


async def test_what_is_unfinished_counts_in_the_quota(http: HttpPeer, folder: Folder, settings: Any) -> None:
    settings.GEOSTREAM_FILES_QUOTA_BYTES = 100_000
    part = {"tus_resumable": "1.0.0", "upload_metadata": "path YQ==", "content_type": "application/offset+octet-stream"}
    assert (await http.request("POST", "/api/tus/", b"x" * 60_000, upload_length="60001", **part)).status == 201
    folder.room.forget()
    assert (await http.request("POST", "/api/tus/", b"x" * 60_000, upload_length="60001", **part)).code == "quota"


async def test_a_body_of_unknown_length_does_not_fill_the_disk(http: HttpPeer, folder: Folder, settings: Any) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            if sent == 5:  # others are writing as well
                settings.GEOSTREAM_FILES_FREE_BYTES = 2**60
            yield b"x" * 1_048_576

    assert (await http.put("a.bin", endless())).code == "quota"
    assert sent < 10 and os.listdir(folder.store.staging.fd) == []


async def test_lists_of_files_to_sync_count_as_uploads(http: HttpPeer, settings: Any) -> None:
    settings.GEOSTREAM_FILES_UPLOADS_AT_ONCE = 1
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b'{"client_id": "a",'
        began.set()
        await go_on.wait()
        yield b'"files": []}'

    first = asyncio.create_task(http.request("POST", "/api/sync", slow()))
    await began.wait()
    assert (await http.post("/api/sync", {"client_id": "a", "files": []})).status == 429
    go_on.set()
    assert (await first).status == 200


@pytest.mark.parametrize("leaves", ["before", "in between"])
async def test_nothing_is_read_for_a_client_that_has_left(leaves: str, http: HttpPeer, service: FilesService) -> None:
    await http.put("large", b"x" * 4_000_000)
    left, sent = asyncio.Event(), 0
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal sent
        if leaves == "before":
            raise OSError("it has left")
        sent += 1
        left.set()
        await asyncio.sleep(0)

    await HttpPeer()._application(scope("/api/download", b"path=large"), receive, send)
    assert sent < 5
    links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{fd}")]
    assert not [link for link in links if link.endswith("/large")]


def scope(path: str, query: bytes) -> dict[str, Any]:
    headers = [(b"host", b"testserver")]
    return {
        **{"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": path, "root_path": "", "query_string": query},
        **{"headers": headers, "client": ("127.0.0.1", 1)},
    }


async def test_a_limited_client_learns_nothing_of_what_is_elsewhere(folder: Folder, user_with: Any, settings: Any) -> None:
    await HttpPeer().put("secret/plan.txt", b"x")
    settings.GEOSTREAM_FILES_ANONYMOUS = ""
    client = await user_with("list", "read", "write", "delete", limits={"files": {"maps": "list read write delete"}})
    for path in ("secret", "nothing"):
        assert (await client.get(f"/api/list?path={path}")).code == "not_found"
    assert (await client.get("/api/list?limit=1")).json()["files"] == []
    for name, path in (("secret/plan.txt", "maps/plan.txt"), ("maps/plan.txt", "secret/plan.txt")):
        assert (await client.post("/api/rename", {"from": name, "to": path})).status == 403
    writer = await user_with("write")
    answer = await writer.put("secret/plan.txt", b"y", if_none_match="*")
    assert answer.status == 412 and "current" not in answer.json()


async def test_an_upload_of_the_same_user_elsewhere_is_not_there_for_a_limited_token(folder: Folder, user_with: Any) -> None:
    from channels.db import database_sync_to_async
    from django.contrib.auth.models import User
    from rest_framework_simplejwt.tokens import AccessToken

    anna = await user_with("write")
    created = await anna.request("POST", "/api/tus/", tus_resumable="1.0.0", upload_length="1", upload_metadata="path c2VjcmV0L2E=")
    token = AccessToken.for_user(await database_sync_to_async(User.objects.get)())
    token["limits"] = {"files": {"maps": "write"}}
    limited = HttpPeer({"authorization": f"Bearer {token}"})
    for method in ("HEAD", "DELETE"):
        assert (await limited.request(method, created.headers["location"], tus_resumable="1.0.0")).status == 404


async def test_a_list_is_another_one_for_other_rights(folder: Folder, settings: Any) -> None:
    http = HttpPeer()
    await http.put("maps/a", b"x")
    await http.put("secret/b", b"x")
    settings.GEOSTREAM_FILES_ANONYMOUS = "maps=list"
    tag = (await http.get("/api/list")).headers["etag"]
    settings.GEOSTREAM_FILES_ANONYMOUS = "*=list"
    assert (await http.get("/api/list", if_none_match=tag)).status == 200


async def test_times_before_and_after_all_dates_do_not_break_the_list(root: Path, http: HttpPeer, folder: Folder) -> None:
    from streaming.files.metadata import format_time

    assert format_time(2**63 * 1000) == "9999-12-31T23:59:59.999999999Z"
    assert format_time(-(2**63) * 1000) == "0001-01-01T00:00:00Z"


async def test_nonsense_is_a_bad_request(http: HttpPeer) -> None:
    assert (await http.post("/api/sync", {"client_id": "a", "files": [], "since": -5})).status == 400
    form = {"content_type": f"multipart/form-data; boundary={'a' * 7000}"}
    assert (await http.request("POST", "/api/upload?path=x", b"x", **form)).status == 400


async def test_of_two_that_replace_the_same_version_one_wins(http: HttpPeer) -> None:
    tag = (await http.put("a", b"agreed")).headers["etag"]
    answers = await asyncio.gather(*(http.put("a", f"{number}".encode(), if_match=tag) for number in range(8)))
    assert sorted(answer.status for answer in answers) == [200, *[412] * 7]
    new = await asyncio.gather(*(http.put("b", f"{number}".encode(), if_none_match="*") for number in range(8)))
    assert sorted(answer.status for answer in new) == [201, *[412] * 7]


async def test_a_resumable_upload_that_cannot_begin_leaves_nothing(
    http: HttpPeer, folder: Folder, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.GEOSTREAM_FILES_UNFINISHED_UPLOADS = 1
    rename = os.rename

    def full(*arguments: Any, **more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    create = {"tus_resumable": "1.0.0", "upload_length": "1", "upload_metadata": "path YQ=="}
    monkeypatch.setattr(os, "rename", full)
    assert (await http.request("POST", "/api/tus/", **create)).status >= 500
    monkeypatch.setattr(os, "rename", rename)
    assert os.listdir(folder.store.staging.fd) == []
    assert (await http.request("POST", "/api/tus/", **create)).status == 201


async def test_an_upload_that_arrived_before_the_server_was_killed_becomes_a_file(
    root: Path, http: HttpPeer, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = {"tus_resumable": "1.0.0", "content_type": "application/offset+octet-stream"}

    async def killed(*arguments: Any) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched, pytest.raises(asyncio.CancelledError):
        patched.setattr("streaming.files.http.tus._complete", killed)
        await http.request("POST", "/api/tus/", b"hello", upload_length="5", upload_metadata="path YQ==", **part)
    (name,) = (name for name in os.listdir(folder.store.staging.fd) if not name.endswith(".json"))
    place = f"/api/tus/{name.removeprefix('tus-')}"
    assert (await http.request("HEAD", place, tus_resumable="1.0.0")).headers["upload-offset"] == "5"
    assert (await http.request("PATCH", place, b"", upload_offset="5", **part)).status == 204
    assert everything(root) == {"a": b"hello"}


@pytest.mark.parametrize("change", ["upload", "replace", "move", "delete"])
async def test_what_a_server_had_done_when_it_was_killed_is_announced(change: str, http: HttpPeer, folder: Folder) -> None:
    """Between the disk and Redis: whoever looks next announces what is there."""
    await http.put("there", b"old")
    write = folder.feed.write

    async def killed(*arguments: Any) -> None:
        raise asyncio.CancelledError

    folder.feed.write = killed  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        match change:
            case "upload":
                await http.put("new", b"new")
            case "replace":
                await http.put("there", b"new")
            case "move":
                await http.post("/api/rename", {"from": "there", "to": "new"})
            case _:
                await http.request("DELETE", "/api/delete?path=there")
    folder.feed.write = write  # type: ignore[method-assign]
    there, new = await http.get("/api/download?path=there"), await http.get("/api/download?path=new")
    found = {"there": there.body if there.status == 200 else None, "new": new.body if new.status == 200 else None}
    await folder.refresh()
    listed = {each["path"]: each["hash"] for each in (await http.get("/api/list")).json()}
    assert listed == {path: sha256(body).hexdigest() for path, body in found.items() if body is not None}
    expected = {"upload": (b"old", b"new"), "replace": (b"new", None), "move": (None, b"old"), "delete": (None, None)}[change]
    assert (found["there"], found["new"]) == expected
