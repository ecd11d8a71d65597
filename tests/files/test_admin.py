"""The admin of files: clients, conflicts, the trash, the audit, and how full the folder is."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import Permission, User
from django.test import AsyncClient

from streaming.core.redis import sync_redis
from streaming.files.folder import Folder
from streaming.files.merge import conflict_copy, conflict_name
from streaming.files.service import FilesService
from streaming.models import FileChange, SyncClient, TrashedFile
from tests.dialects.file_sync.peer import FilePeer

from .http_peer import HttpPeer

COPY = conflict_name("maps/ortho.tif", "20240115-103000", "laptop-1")


@pytest.fixture
async def admin(folder: Folder) -> AsyncClient:
    """A superuser's."""
    client = AsyncClient()
    await client.aforce_login(await database_sync_to_async(User.objects.create_superuser)("admin"))
    return client


@pytest.fixture
def staff_with(folder: Folder) -> Callable[..., Awaitable[AsyncClient]]:
    async def make(*codenames: str) -> AsyncClient:
        def user() -> User:
            user = User.objects.create_user(f"staff{User.objects.count()}", is_staff=True)
            user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
            return user

        client = AsyncClient()
        await client.aforce_login(await database_sync_to_async(user)())
        return client

    return make


async def shown(client: AsyncClient, page: str, **parameters: str) -> str:
    answer = await client.get(f"/admin/streaming/{page}/", parameters, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


async def written(service: FilesService) -> None:
    assert service.audit is not None
    await service.audit.flush()


async def test_clients_with_their_lag(http: HttpPeer, service: FilesService, admin: AsyncClient) -> None:
    peer = await FilePeer().connect()
    await peer.subscribe("laptop")
    await http.put("a", b"x")
    await written(service)
    page = await shown(admin, "syncclient")
    assert "laptop" in page and '<td class="field-state">connected</td>' in page and '<td class="field-lag">1</td>' in page
    await SyncClient.objects.aupdate(seen=datetime.now(UTC) - timedelta(hours=1))
    assert '<td class="field-state">stale</td>' in await shown(admin, "syncclient", state="stale")
    assert "laptop" not in await shown(admin, "syncclient", state="connected")
    await peer.close()
    await written(service)
    assert '<td class="field-state">away</td>' in await shown(admin, "syncclient", state="away", q="lap")


async def test_clients_do_without_redis(admin: AsyncClient, folder: Folder) -> None:
    await SyncClient.objects.acreate(id="laptop", seen=datetime.now(UTC))
    sync_redis().delete(folder.feed.meta_key)
    sync_redis().set(folder.feed.meta_key, "of the wrong type")
    assert "unknown: Redis does not answer" in await shown(admin, "syncclient")


async def test_the_trash_is_restored(http: HttpPeer, service: FilesService, admin: AsyncClient) -> None:
    for path in ("a", "b", "c"):
        await http.put(path, b"x")
        await http.request("DELETE", f"/api/delete?path={path}")
    await http.put("b", b"other")
    await written(service)
    ids = [row.pk async for row in TrashedFile.objects.filter(path__in=("a", "b"))]
    answer = await admin.post("/admin/streaming/trashedfile/", {"action": "restore", "_selected_action": ids}, follow=True)
    page = answer.content.decode()
    assert "1 restored" in page and "&#x27;b&#x27;: there is something at" in page
    assert [each["path"] for each in (await http.get("/api/list")).json()] == ["a", "b"]
    await admin.post("/admin/streaming/trashedfile/", {"action": "restore_in_place", "_selected_action": ids}, follow=True)
    assert (await http.get("/api/download?path=b")).body == b"x"
    await written(service)
    assert sorted([(row.path, row.replaced) async for row in TrashedFile.objects.all()]) == [("b", True), ("c", False)]
    change = await FileChange.objects.filter(action="restore", path="b").aget()
    assert change.user == "admin"


async def test_what_is_in_the_trash_no_more_leaves_the_list(admin: AsyncClient, folder: Folder) -> None:
    await TrashedFile.objects.acreate(id="1700000000000-00000000", at=datetime.now(UTC), path="a")
    choice = {"action": "restore", "_selected_action": "1700000000000-00000000"}
    answer = await admin.post("/admin/streaming/trashedfile/", choice, follow=True)
    assert "not in the trash any more" in answer.content.decode()
    assert not await TrashedFile.objects.aexists()


async def test_restoring_and_choosing_need_permissions(http: HttpPeer, service: FilesService, staff_with: Any) -> None:
    await http.put("a", b"x")
    await http.put(COPY, b"y")
    await http.request("DELETE", "/api/delete?path=a")
    await written(service)
    looking = await staff_with("view_trashedfile", "list_files")
    assert "Restore selected" not in await shown(looking, "trashedfile")
    assert "Keep the" not in await shown(looking, "filechange/folder")
    assert (await looking.post("/admin/streaming/filechange/folder/", {"keep": "copy"})).status_code == 403
    assert "Restore selected" in await shown(await staff_with("view_trashedfile", "write_files"), "trashedfile")
    nobody = await staff_with("view_trashedfile")
    assert (await nobody.get("/admin/streaming/filechange/folder/")).status_code == 403


async def test_the_audit_is_filtered(http: HttpPeer, service: FilesService, admin: AsyncClient, user_with: Any) -> None:
    user = await user_with("list", "read", "write")
    await user.put("maps/a", b"x")
    await http.put("other", b"x")
    await http.post("/api/rename", {"from": "other", "to": "maps/b"})
    await written(service)

    async def count(**parameters: str) -> str:
        found = re.search(r"(\d+) file changes?", await shown(admin, "filechange", **parameters))
        return found[1] if found else ""

    assert [await count(), await count(q="maps/"), await count(q="maps/a"), await count(q="/other"), await count(q="x")] == [
        "3",
        "2",
        "1",
        "2",
        "0",
    ]
    username = (await FileChange.objects.exclude(user="").aget()).user
    assert (await count(user=username), await count(user="nobody"), await count(action="move")) == ("1", "0", "1")
    assert (await count(at__gte="2020-01-01 00:00+00:00"), await count(at__gte="2099-01-01 00:00+00:00")) == ("3", "0")
    assert f'<a href="?user={username}">' in await shown(admin, "filechange")


async def test_a_list_counts_so_many_only(admin: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streaming.engine.bounded_paginator.MOST_COUNTED", 3)
    now = datetime.now(UTC)
    await FileChange.objects.abulk_create(FileChange(at=now, action="upload", path=str(number)) for number in range(10))
    assert "\n3 file changes\n" in await shown(admin, "filechange")


async def test_the_folder_shows_how_full_it_is(http: HttpPeer, admin: AsyncClient, settings: Any) -> None:
    settings.GEOSTREAM_FILES_QUOTA_BYTES, settings.GEOSTREAM_FILES_MOST = 2048, 50
    await http.put("a", b"x" * 1024)
    page = (await shown(admin, "filechange/folder")).replace("\xa0", " ")
    assert "1 of 50" in page and "1.0 KB of 2.0 KB" in page and "There are none." in page
    assert "/admin/streaming/filechange/folder/" in await shown(admin, "trashedfile")


@pytest.mark.parametrize(("keep", "kept"), [("original", b"the server's"), ("copy", b"the client's")])
async def test_one_version_of_a_conflict_is_chosen(keep: str, kept: bytes, http: HttpPeer, admin: AsyncClient) -> None:
    await http.put("maps/ortho.tif", b"the server's")
    await http.put(COPY, b"the client's")
    page = await shown(admin, "filechange/folder")
    (choice,) = re.findall(r'name="conflict" value="([^"]+)"', page)
    assert "maps/ortho.tif" in page and "laptop1" in page
    answer = await admin.post("/admin/streaming/filechange/folder/", {"keep": keep, "conflict": choice}, follow=True)
    assert "1 decided" in answer.content.decode()
    assert [each["path"] for each in (await http.get("/api/list")).json()] == ["maps", "maps/ortho.tif"]
    assert (await http.get("/api/download?path=maps/ortho.tif")).body == kept


async def test_a_conflict_that_has_changed_meanwhile_is_not_decided(http: HttpPeer, admin: AsyncClient) -> None:
    await http.put("maps/ortho.tif", b"the server's")
    await http.put(COPY, b"the client's")
    (choice,) = re.findall(r'name="conflict" value="([^"]+)"', await shown(admin, "filechange/folder"))
    await http.put("maps/ortho.tif", b"a newer one")
    answer = await admin.post("/admin/streaming/filechange/folder/", {"keep": "copy", "conflict": choice}, follow=True)
    assert "no longer, the one" in answer.content.decode()
    assert (await http.get("/api/download?path=maps/ortho.tif")).body == b"a newer one"
    answer = await admin.post("/admin/streaming/filechange/folder/", {"keep": "original", "conflict": "0:0:maps/ortho.tif"}, follow=True)
    assert "not the name of a conflict" in answer.content.decode()


async def test_a_conflict_whose_original_is_gone(http: HttpPeer, admin: AsyncClient) -> None:
    await http.put(COPY, b"the client's")
    (choice,) = re.findall(r'name="conflict" value="([^"]+)"', await shown(admin, "filechange/folder"))
    await admin.post("/admin/streaming/filechange/folder/", {"keep": "copy", "conflict": choice})
    assert (await http.get("/api/download?path=maps/ortho.tif")).body == b"the client's"


@pytest.mark.parametrize("path", ["a", "maps/ortho.tif", "maps/.hidden", "maps/a.tar.gz", COPY])
def test_a_conflict_is_known_by_its_name(path: str) -> None:
    found = conflict_copy(conflict_name(path, "20240115-103000", "laptop-1"))
    assert found is not None and (found.original, found.client) == (path, "laptop1" if path != COPY else found.client)
    assert conflict_copy("maps/ortho.sync-conflict.tif") is None


@pytest.mark.django_db
def test_without_a_server_the_page_says_so(client: Any) -> None:
    client.force_login(User.objects.create_superuser("admin"))
    assert "only server processes have the folder" in client.get("/admin/streaming/filechange/folder/").content.decode()
