"""The folder on a storage of Django's, the system checks, the tables, and what other parts can build on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.core.checks import run_checks
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from streaming.core.follower import Replacement
from streaming.core.items import Change
from streaming.dialects.file_sync.service import FileSyncService
from streaming.engine.runtime import Runtime
from streaming.files.changes import OUTSIDE
from streaming.files.folder import Folder
from streaming.files.metadata import note_of, record_of
from streaming.files.service import FilesService
from streaming.models import SyncClient, TrashedFile
from tests.dialects.file_sync.peer import FilePeer

from .http_peer import HttpPeer


@pytest.mark.parametrize("kind", ["FileSystemStorage", "InMemoryStorage"])
async def test_a_storage_of_django(kind: str, root: Path, settings: Any, tmp_path: Path, runtime: Runtime) -> None:
    """Uploads, moves, deletions and restored files, in a bucket as well as on a disk."""
    options = {"location": str(tmp_path / "bucket")}
    settings.STORAGES = {**settings.STORAGES, "bucket": {"BACKEND": f"django.core.files.storage.{kind}", "OPTIONS": options}}
    settings.GEOSTREAM_FILES_STORAGE, settings.GEOSTREAM_DATA_DIR = "bucket", tmp_path
    http = HttpPeer()
    assert (await http.put("a/b.txt", b"one")).status == 201
    assert (await http.put("a/b.txt", b"one")).status == 200
    assert (await http.put("a/b.txt", b"two")).status == 200
    assert (await http.get("/api/download?path=a/b.txt", range="bytes=1-")).body == b"wo"
    assert (await http.post("/api/mkdir", {"path": "empty"})).status == 201
    assert (await http.post("/api/rename", {"from": "a", "to": "c"})).status == 200
    assert [each["path"] for each in (await http.get("/api/list")).json()] == ["c", "c/b.txt", "empty"]
    assert (await http.get("/api/download?path=c/b.txt")).body == b"two"
    storages["bucket"].delete("c/b.txt")
    storages["bucket"].save("c/b.txt", ContentFile(b"behind our back"))
    assert (await http.get("/api/download?path=c/b.txt")).body == b"behind our back"
    assert (await http.request("DELETE", "/api/delete?path=c/b.txt")).status == 204
    assert (await http.request("DELETE", "/api/delete?path=empty")).status == 204
    assert (await http.get("/api/list")).json() == []
    body = msgspec.msgpack.encode(
        [{"path": "many"}, {"path": "many/a", "content": b"1"}, {"path": "many/b", "content": b"2", "base": None}]
    )
    done = (await http.request("POST", "/api/upload-many", body, content_type="application/msgpack")).json()["files"]
    assert [each["path"] for each in done] == ["many", "many/a", "many/b"]
    found = await http.request("POST", "/api/download-many", json.dumps({"paths": ["many/b", "many/a"]}).encode())
    assert [each["content"] for each in msgspec.msgpack.decode(found.body)] == [b"2", b"1"]
    service = runtime.service(FilesService)
    assert service.audit is not None
    await service.audit.flush()
    trashed = [row async for row in TrashedFile.objects.filter(path="c/b.txt").order_by("at")]
    folder = await service.folder()
    await folder.restore(trashed[-1].id, "back.txt", OUTSIDE)
    assert (await http.get("/api/download?path=back.txt")).body == b"behind our back"
    await http.put("deep/er/a.txt", b"one")
    await http.put("deep/b.txt", b"two")
    assert (await http.request("DELETE", "/api/delete?path=deep&recursive=true")).status == 204
    whole = (await http.get("/api/trash?path=deep")).json()["trash"][0]["id"]
    assert (await http.post("/api/restore", {"id": whole, "path": "again"})).status == 200
    assert (await http.get("/api/download?path=again/er/a.txt")).body == b"one"
    replaced = (await http.get("/api/trash?path=a/b.txt")).json()["trash"][0]["id"]
    assert (await http.post("/api/restore", {"id": replaced, "path": "back.txt", "replace": True})).status == 200
    assert (await http.get("/api/download?path=back.txt")).body == b"one"
    assert (await http.request("DELETE", "/api/delete?path=again&recursive=true")).status == 204
    folder.store.empty_trash(2**63)
    assert not [each for each in (tmp_path / "bucket/.hub-trash").rglob("*") if each.is_file()]


@pytest.mark.parametrize(
    ("name", "value", "id"),
    [("GEOSTREAM_FILES_ANONYMOUS", "maps=fly", "streaming.E020"), ("GEOSTREAM_FILES_STORAGE", "nowhere", "streaming.E021")],
)
def test_a_wrong_setting_is_found_by_a_check(name: str, value: str, id: str, settings: Any) -> None:
    assert id not in {message.id for message in run_checks()}
    setattr(settings, name, value)
    assert id in {message.id for message in run_checks()}


def test_an_order_of_apps_that_hides_the_api_is_found_by_a_check(settings: Any) -> None:
    settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != "streaming.files"] + ["streaming.files"]
    assert "streaming.E022" in {message.id for message in run_checks()}


async def test_clients_are_in_a_table(http: HttpPeer, service: FilesService, runtime: Runtime) -> None:
    peer = await FilePeer().connect()
    await peer.subscribe("laptop")
    await http.put("a", b"x")
    await peer.receive()
    assert service.audit is not None
    await service.audit.flush()
    row = await SyncClient.objects.aget()
    assert (row.id, row.connected) == ("laptop", True)
    await runtime.service(FileSyncService).note_positions()
    await service.audit.flush()
    await row.arefresh_from_db()
    assert row.seq == 1 and row.since is not None
    await peer.close()
    await service.audit.flush()
    await row.arefresh_from_db()
    assert (row.connected, row.seq) == (False, 1)


class Ingestion:
    """A part that makes something of files."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str | None, str | None]] = []

    def changed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            hash = None if change.new is None else record_of(change.new).hash[:4]
            self.seen.append((change.key, hash, note_of(change.reason).moved_to))

    def replaced(self, different: Sequence[Replacement] | None) -> None:
        raise AssertionError


async def test_a_part_observes_what_has_settled(http: HttpPeer, folder: Folder) -> None:
    before = folder.index.replica.cursor
    part = Ingestion()
    folder.index.replica.observe(part)
    await http.put("a.txt", b"hello\n")
    await http.post("/api/rename", {"from": "a.txt", "to": "b.txt"})
    await folder.refresh()
    assert part.seen == [("a.txt", "5891", None), ("a.txt", None, "b.txt"), ("b.txt", "5891", None)]
    assert await folder.reach(before)
    missed = folder.index.replica.changes_since(before)
    assert missed is not None and [change.key for change in missed] == ["a.txt", "a.txt", "b.txt"]
    folder.index.replica.unobserve(part)


async def test_what_is_counted(http: HttpPeer, service: FilesService, user_with: Callable[..., Any]) -> None:
    await http.put("a", b"12345")
    await http.get("/api/download?path=a")
    await http.put("a", b"x", if_none_match="*")
    await http.put("b", b"x", x_content_sha256="0" * 64)
    await (await service.folder()).refresh()
    samples = {(name, labels): value for name, labels, value in service.collect()}
    assert samples["geostream_files_requests_total", ("upload", "201")] == 1
    assert samples["geostream_files_requests_total", ("upload", "412")] == 1
    assert samples["geostream_files_conflicts_total", ()] == samples["geostream_files_hash_failures_total", ()] == 1
    assert samples["geostream_files_sent_bytes_total", ()] == 5
    assert samples["geostream_files_changes_total", ("upload", "clients")] == 1
    assert samples["geostream_files", ()] == 1 and samples["geostream_files_bytes", ()] == 5
