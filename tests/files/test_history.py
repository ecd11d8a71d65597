"""What has happened to files, what is in the trash, and how it comes back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.db import connection

from streaming.files import audit_pages
from streaming.files.changes import Actor
from streaming.files.folder import Folder
from streaming.models import FileChange, TrashedFile
from tests.dialects.file_sync.peer import FilePeer

from .http_peer import HttpPeer

UserWith = Callable[..., Awaitable[HttpPeer]]


async def changes(http: HttpPeer, **parameters: Any) -> list[dict[str, Any]]:
    answer = await http.get(f"/api/files/history?{'&'.join(f'{name}={value}' for name, value in parameters.items())}")
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json()["changes"]
    return found


async def trashed(http: HttpPeer, path: str = "") -> list[dict[str, Any]]:
    answer = await http.get(f"/api/files/trash?path={path}")
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json()["trash"]
    return found


async def test_the_history_of_a_file(http: HttpPeer) -> None:
    first = (await http.put("a.txt", b"one")).json()["hash"]
    second = (await http.put("a.txt", b"two", x_client_id="laptop")).json()["hash"]
    await http.post("/api/rename", {"from": "a.txt", "to": "b.txt"})
    await http.put("other", b"x")
    moved, replaced, made = await changes(http, path="a.txt")
    assert await changes(http, path="b.txt") == [moved]
    assert (moved["action"], moved["from"], moved["path"], moved["trashed"]) == ("move", "a.txt", "b.txt", None)
    assert (replaced["action"], replaced["source"], replaced["hash_before"], replaced["hash_after"]) == ("upload", "laptop", first, second)
    assert (made["hash_before"], made["hash_after"], made["size"], made["actor"]) == (None, first, 3, None)
    assert replaced["trashed"] == (await trashed(http))[0]["id"]


async def test_the_history_of_a_file_has_what_happened_to_its_directory(http: HttpPeer) -> None:
    await http.put("maps/a", b"x")
    await http.put("maps/b", b"x")
    await http.request("DELETE", "/api/delete?path=maps&recursive=true")
    assert [(each["action"], each["path"]) for each in await changes(http, path="maps/a")] == [("delete", "maps"), ("upload", "maps/a")]


async def test_the_history_of_a_directory_comes_in_pages(http: HttpPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_pages, "ROWS", 2)
    for number in range(5):
        await http.put(f"maps/{number}", b"x")
        await http.put(f"{number}", b"x")
    found, cursor = [], ""
    while cursor is not None:
        page = (await http.get(f"/api/history?path=maps&limit=2&cursor={cursor.replace('+', '%2B')}")).json()
        assert len(page["changes"]) <= 2
        found += [each["path"] for each in page["changes"]]
        cursor = page["cursor"]
    assert found == [f"maps/{number}" for number in (4, 3, 2, 1, 0)]


async def test_a_page_looks_at_so_many_rows_only(http: HttpPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_pages, "ROWS", 2)
    monkeypatch.setattr(audit_pages, "MOST_LOOKED_AT", 4)
    for path in ("maps/a", "b", "c", "d", "e"):
        await http.put(path, b"x")
    page = (await http.get("/api/history?path=maps")).json()
    assert page["changes"] == []
    page = (await http.get(f"/api/history?path=maps&cursor={page['cursor'].replace('+', '%2B')}")).json()
    assert [each["path"] for each in page["changes"]] == ["maps/a"]


@pytest.mark.parametrize(
    "cursor", ["x", "2026-01-01~1", "2026-13-01T00:00:00Z~1", "2026-01-01T00:00:00Z~", "2026-01-01T00:00:00Z~9999999999999999999"]
)
async def test_a_cursor_that_is_none(cursor: str, http: HttpPeer) -> None:
    assert (await http.get(f"/api/history?cursor={cursor}")).code == "bad_request"


async def test_the_history_shows_what_may_be_read(http: HttpPeer, user_with: UserWith) -> None:
    for path in ("maps/a", "maps/b", "secret/c"):
        await http.put(path, b"x")
    await http.post("/api/rename", {"from": "maps/a", "to": "secret/a"})
    await http.post("/api/rename", {"from": "secret/c", "to": "maps/c"})
    await http.request("DELETE", "/api/delete?path=maps/b")
    reader = await user_with("list", "read", "delete", limits={"files": {"maps": "read delete"}})
    found = [(each["action"], each["path"], each["from"]) for each in await changes(reader)]
    assert found == [
        ("delete", "maps/b", None),
        ("create", "maps/c", None),
        ("delete", "maps/a", None),
        ("upload", "maps/b", None),
        ("upload", "maps/a", None),
    ]
    assert await changes(reader, path="secret/c") == [{**(await changes(reader, path="maps/c"))[0]}]
    assert [each["path"] for each in await trashed(reader)] == ["maps/b"]


async def test_names_of_users_are_for_users(http: HttpPeer, user_with: UserWith) -> None:
    user = await user_with("list", "read", "write")
    await user.put("a", b"x")
    assert (await changes(http))[0]["actor"] is None
    assert (await changes(user))[0]["actor"] == "user0"


@pytest.mark.parametrize(
    ("rights", "statuses"), [("list", (403, 403, 403)), ("list read", (200, 403, 403)), ("read delete", (200, 200, 403))]
)
async def test_each_needs_its_right(rights: str, statuses: tuple[int, ...], http: HttpPeer, settings: Any, user_with: UserWith) -> None:
    settings.GEOSTREAM_FILES_ANONYMOUS = ""
    user = await user_with(*rights.split())
    answers = [await user.get("/api/history"), await user.get("/api/trash"), await user.post("/api/restore", {"id": "1"})]
    assert tuple(answer.status for answer in answers) == statuses


async def test_the_trash_says_until_when_it_is_kept(http: HttpPeer, settings: Any) -> None:
    settings.GEOSTREAM_FILES_TRASH_SECONDS = 3600
    await http.put("maps/a", b"abc")
    await http.request("DELETE", "/api/delete?path=maps/a")
    (entry,) = await trashed(http, "maps")
    at, expires = (datetime.fromisoformat(entry[name]) for name in ("at", "expires"))
    assert (entry["path"], entry["size"], expires - at) == ("maps/a", 3, timedelta(hours=1))
    assert await trashed(http, "map") == []
    await TrashedFile.objects.aupdate(at=datetime.now(UTC) - timedelta(hours=2))
    assert await trashed(http) == []


async def test_a_file_comes_back(http: HttpPeer) -> None:
    before = (await http.put("maps/a", b"abc")).json()
    await http.request("DELETE", "/api/delete?path=maps/a")
    (entry,) = await trashed(http)
    peer = await FilePeer().connect()
    await peer.subscribe("watching")
    answer = await http.post("/api/restore", {"id": entry["id"]}, x_client_id="laptop")
    assert (answer.status, answer.json()) == (200, before)
    announced = await peer.receive()
    assert (announced["operation"], announced["source_client"]) == ({"Create": {"metadata": before}}, "laptop")
    assert (await http.get("/api/download?path=maps/a")).body == b"abc"
    assert await trashed(http) == []
    assert [each["action"] for each in await changes(http, path="maps/a")] == ["restore", "delete", "upload"]
    assert (await http.post("/api/restore", {"id": entry["id"]})).code == "not_found"
    await peer.close()


async def test_a_directory_comes_back_with_all_that_is_in_it(http: HttpPeer, folder: Folder) -> None:
    await http.put("maps/a", b"abc")
    await http.put("maps/deep/b", b"abc")
    await http.post("/api/mkdir", {"path": "maps/empty"})
    before = (await http.get("/api/list")).json()
    await http.request("DELETE", "/api/delete?path=maps&recursive=true")
    assert (await http.get("/api/list")).json() == []
    (entry,) = await trashed(http)
    answer = await http.post("/api/restore", {"id": entry["id"], "path": "maps"})
    assert answer.status == 200 and answer.json()["is_directory"]
    assert [(each["path"], each["hash"]) for each in (await http.get("/api/list")).json()] == [
        (each["path"], each["hash"]) for each in before
    ]


async def test_another_version_comes_back_and_changes_places(http: HttpPeer) -> None:
    await http.put("a", b"one")
    await http.put("a", b"two")
    (entry,) = await trashed(http)
    assert (await http.post("/api/restore", {"id": entry["id"]})).code == "exists"
    stale = await http.post("/api/restore", {"id": entry["id"], "replace": True}, if_match=f'"{"0" * 64}"')
    assert stale.status == 412
    assert (await http.post("/api/restore", {"id": entry["id"], "replace": True})).status == 200
    assert (await http.get("/api/download?path=a")).body == b"one"
    (other,) = await trashed(http)
    assert (await http.post("/api/restore", {"id": other["id"], "path": "b"})).status == 200
    assert (await http.get("/api/download?path=b")).body == b"two"


async def test_a_restored_file_goes_where_its_finder_may_write(http: HttpPeer, user_with: UserWith, settings: Any) -> None:
    await http.put("maps/a", b"x")
    await http.put("secret/a", b"x")
    for path in ("maps/a", "secret/a"):
        await http.request("DELETE", f"/api/delete?path={path}")
    secret, map = (each["id"] for each in await trashed(http))
    settings.GEOSTREAM_FILES_ANONYMOUS = ""
    user = await user_with("list", "read", "write", limits={"files": {"maps": "read", "mine": "write"}})
    assert (await user.post("/api/restore", {"id": secret, "path": "mine/a"})).code == "not_found"
    assert (await user.post("/api/restore", {"id": map})).code == "forbidden"
    assert (await user.post("/api/restore", {"id": map, "path": "../a"})).code == "path"
    assert (await user.post("/api/restore", {"id": map, "path": "mine/a"})).status == 200


@pytest.mark.parametrize("body", [{}, {"id": 1}, {"id": "x" * 41}, {"id": "1", "replace": "yes"}])
async def test_what_is_no_request_to_restore(body: Any, http: HttpPeer) -> None:
    assert (await http.post("/api/restore", body)).code == "bad_request"


@pytest.mark.parametrize("id", ["../a", "0000000000001-00000000", "1/a"])
async def test_no_id_leads_out_of_the_trash(id: str, http: HttpPeer, root: Path) -> None:
    await TrashedFile.objects.acreate(id=id, at=datetime.now(UTC), path="b")
    await http.put("a", b"x")
    assert (await http.post("/api/restore", {"id": id})).code == "not_found"


@pytest.mark.parametrize("directory", [False, True])
async def test_what_has_no_room_stays_in_the_trash(directory: bool, http: HttpPeer, settings: Any) -> None:
    await http.put("maps/a", b"x" * 100)
    await http.request("DELETE", f"/api/delete?recursive=true&path={'maps' if directory else 'maps/a'}")
    (entry,) = await trashed(http)
    settings.GEOSTREAM_FILES_QUOTA_BYTES = 50
    assert (await http.post("/api/restore", {"id": entry["id"]})).code == "quota"
    settings.GEOSTREAM_FILES_QUOTA_BYTES = 0
    assert (await http.post("/api/restore", {"id": entry["id"]})).status == 200
    assert (await http.get("/api/download?path=maps/a")).body == b"x" * 100


async def test_a_file_takes_the_place_of_another(http: HttpPeer, folder: Folder) -> None:
    await http.put("a", b"old")
    await http.put("a.copy", b"new")
    await folder.replace("a.copy", "a", Actor("someone"))
    assert (await http.get("/api/download?path=a")).body == b"new"
    assert [each["path"] for each in (await http.get("/api/list")).json()] == ["a"]
    (entry,) = await trashed(http)
    assert (entry["path"], entry["size"]) == ("a", 3)


async def test_both_are_quick_with_many_rows(http: HttpPeer) -> None:
    """Every look at the database is answered by an index."""

    @database_sync_to_async
    def plans() -> list[str]:
        rows = FileChange.objects.all()
        asked = [rows.filter(path="a"), rows.filter(target="a"), rows.filter(user="a"), rows.filter(action="move"), rows]
        return [query[:100].explain() for query in asked] if connection.vendor == "sqlite" else []

    for plan in await plans():
        assert "USING INDEX" in plan and "TEMP B-TREE" not in plan, plan
