"""One process ingests; what happened while none did is found; and clients are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.sites import AdminSite
from django.contrib.auth.models import Permission, User
from django.test import Client

from streaming.core.redis import sync_redis
from streaming.engine.lifespan import get_runtime, stop_runtime
from streaming.engine.runtime import Runtime
from streaming.files.changes import OUTSIDE
from streaming.files.service import FilesService
from streaming.ingestion.admin import FileIngestAdmin
from streaming.ingestion.checks import check_ingestion
from streaming.ingestion.file_events import AGAIN, file_events
from streaming.models import FileIngest, Layer
from tests.files.conftest import user_with  # noqa: F401 (a fixture)
from tests.files.http_peer import HttpPeer
from tests.geo_peer import GeoPeer

from .conftest import Drop, collection, ingestor_of, point

UserWith = Callable[..., Awaitable[HttpPeer]]


@pytest.fixture
def events_on(settings: Any) -> None:
    settings.GEOSTREAM_SERVER_EVENTS = True
    file_events._allowances.clear()


async def test_what_changed_while_no_process_ran_is_found(root: Path, runtime: Runtime, features: Callable[[str], Any]) -> None:
    drop = Drop(await runtime.service(FilesService).folder(), await ingestor_of(runtime))
    await drop("roads.geojson", collection(point(1)))
    await drop("rails.geojson", collection(point(1)))
    await stop_runtime()
    (root / "roads.geojson").write_bytes(collection(point(1), point(2)))
    (root / "rails.geojson").unlink()
    (root / "trees.geojson").write_bytes(collection(point(3)))
    again = await get_runtime()
    folder = await again.service(FilesService).folder()
    for name in ("roads", "rails", "trees"):
        await folder.look(f"{name}.geojson")
    await Drop(folder, await ingestor_of(again)).settled()
    assert [layer.name async for layer in Layer.objects.order_by("name")] == ["roads", "trees"]
    assert sorted(await features("roads")) == ["1", "2"]


async def test_a_file_that_is_as_it_was_is_not_read_again(root: Path, runtime: Runtime) -> None:
    drop = Drop(await runtime.service(FilesService).folder(), await ingestor_of(runtime))
    await drop("roads.geojson", collection(point(1)))
    await stop_runtime()
    ingestor = await ingestor_of(await get_runtime())
    assert not ingestor.waiting
    assert not ingestor.ended
    assert ingestor.records.rows["roads.geojson"].status == "ready"


async def test_what_redis_has_lost_is_read_again(root: Path, runtime: Runtime, features: Callable[[str], Any]) -> None:
    drop = Drop(await runtime.service(FilesService).folder(), await ingestor_of(runtime))
    await drop("roads.geojson", collection(point(1)))
    before = await Layer.objects.aget()
    await stop_runtime()
    sync_redis().flushall()
    again = await get_runtime()
    await Drop(await again.service(FilesService).folder(), await ingestor_of(again)).settled()
    assert await Layer.objects.aget() == before  # the feed of files was empty, the disk was not
    assert sorted(await features("roads")) == ["1"]


async def test_files_that_do_not_match_the_patterns_become_nothing(root: Path, settings: Any, redis: None, transactional_db: None) -> None:
    settings.GEOSTREAM_INGEST_PATTERNS = "maps/**, !**/tmp/**"
    runtime = await get_runtime()
    try:
        drop = Drop(await runtime.service(FilesService).folder(), await ingestor_of(runtime))
        for path in ("a.geojson", "maps/tmp/b.geojson", "maps/c.geojson"):
            await drop.put(path, collection(point(1)))
        await drop.settled()
        assert list(drop.ingestor.records.rows) == ["maps/c.geojson"]
    finally:
        await stop_runtime()


def test_patterns_that_cannot_be_read_are_found_by_the_check(settings: Any) -> None:
    assert check_ingestion() == []
    settings.GEOSTREAM_INGEST_PATTERNS = "**/**/**/**/*"
    assert [error.id for error in check_ingestion()] == ["streaming.E030"]


async def subscribe(peer: GeoPeer, **more: Any) -> None:
    ack = await peer.ask(type="subscribe_events", subscription_id="e", event_types=["file_change", "processing_status"], **more)
    assert ack["success"], ack


async def events(peer: GeoPeer, count: int) -> list[dict[str, Any]]:
    return [(await peer.next())["payload"] for _ in range(count)]


async def test_subscribers_follow_a_file_to_its_layer(drop: Drop, geo: Callable[[], GeoPeer], events_on: None) -> None:
    peer = geo()
    await subscribe(peer)
    await drop("maps/roads.geojson", collection(point(1, 8.0), point(2, 9.0)))
    queued, running, ready, change = await events(peer, 4)
    assert [each["status"] for each in (queued, running, ready)] == ["queued", "running", "ready"]
    assert (ready["event"], ready["layer"], ready["features"]) == ("file_ingest", "maps.roads", 2)
    assert (change["event"], change["action"], change["path"], change["status"]) == ("file_change", "create", "maps/roads.geojson", "ready")
    assert change["bbox"] == [8.0, 47.0, 9.0, 47.0]
    await drop.delete("maps/roads.geojson")
    (gone,) = await events(peer, 1)
    assert (gone["action"], gone["bbox"], gone["layer"]) == ("delete", [8.0, 47.0, 9.0, 47.0], "maps.roads")


async def test_files_that_become_nothing_are_announced_as_well(drop: Drop, geo: Callable[[], GeoPeer], events_on: None) -> None:
    peer = geo()
    await subscribe(peer)
    await drop.put("notes.txt", b"one")
    await drop.folder.move("notes.txt", "old.txt", OUTSIDE)
    created, moved = await events(peer, 2)
    assert (created["action"], created["path"], created["size"], created["status"]) == ("create", "notes.txt", 3, None)
    assert (moved["action"], moved["from"], moved["path"]) == ("move", "notes.txt", "old.txt")


async def test_events_are_filtered_by_box_and_by_pattern(drop: Drop, geo: Callable[[], GeoPeer], events_on: None) -> None:
    here, named = geo(), geo()
    await subscribe(here, bbox=[100, -10, 120, 10])
    await subscribe(named, filter="path LIKE 'b/%' AND event = 'file_change'")
    await drop("a/alps.geojson", collection(point(1)))
    await drop("b/borneo.geojson", collection(point(1, 114.0, 1.0)))
    assert [(each["event"], each["path"]) for each in await events(here, 2)] == [
        ("file_ingest", "b/borneo.geojson"),
        ("file_change", "b/borneo.geojson"),
    ]
    assert (await events(named, 1))[0]["path"] == "b/borneo.geojson"
    assert await here.nothing()


async def test_events_are_for_those_who_may_list_the_path(drop: Drop, geo: Callable[[], GeoPeer], settings: Any, events_on: None) -> None:
    settings.GEOSTREAM_FILES_ANONYMOUS = "public=list"
    peer = geo()
    await subscribe(peer)
    await drop.put("private/a.txt", b"x")
    await drop.put("public/a.txt", b"x")
    assert (await events(peer, 1))[0]["path"] == "public/a.txt"


async def ingests(peer: HttpPeer, query: str = "") -> list[str]:
    answer = await peer.get(f"/api/files/ingests{query}")
    assert answer.status == 200, answer.body
    return [each["path"] for each in answer.json()["ingests"]]


async def test_ingests_are_listed_for_those_who_may_list_files(drop: Drop, user_with: UserWith, settings: Any) -> None:  # noqa: F811
    await drop("a/one.geojson", collection(point(1)))
    await drop("b/two.geojson", b"{")
    await drop.ingestor.records.flush()
    anybody = HttpPeer()
    assert await ingests(anybody) == ["b/two.geojson", "a/one.geojson"]
    assert await ingests(anybody, "?limit=1") == ["b/two.geojson"]
    assert await ingests(anybody, "?path=a") == ["a/one.geojson"]
    settings.GEOSTREAM_FILES_ANONYMOUS = "a=list"
    assert await ingests(HttpPeer()) == ["a/one.geojson"]
    settings.GEOSTREAM_FILES_ANONYMOUS = ""
    assert (await HttpPeer().get("/api/files/ingests")).status == 401
    assert await ingests(await user_with("list", limits={"files": {"b": "list"}})) == ["b/two.geojson"]


async def test_an_ingest_says_what_has_become_of_a_file(drop: Drop) -> None:
    await drop("roads.geojson", collection(point(1)))
    await drop.ingestor.records.flush()
    (row,) = (await HttpPeer().get("/api/files/ingests")).json()["ingests"]
    assert row.pop("updated").endswith("Z")
    assert row == {
        "path": "roads.geojson",
        "status": "ready",
        "kind": "layer",
        "layer": "roads",
        "tileset": None,
        "message": "",
        "progress": None,
        "features": 1,
        "bbox": [8.0, 47.0, 8.0, 47.0],
        "crs": None,
    }


async def test_a_file_can_be_ingested_again(drop: Drop, features: Callable[[str], Any]) -> None:
    await drop("roads.geojson", collection(point(1)))
    await Layer.objects.all().adelete()
    sync_redis().sadd(AGAIN, "roads.geojson")
    await drop.ingestor.take_wishes()
    await drop.settled()
    assert sorted(await features("roads")) == ["1"]


def test_the_admin_shows_ingests_and_has_files_read_again(admin_client: Client, redis: None) -> None:
    FileIngest.objects.create(path="maps/roads.geojson", status="failed", message="feature 2: bad", updated="2026-01-01T00:00:00Z")
    page = admin_client.get("/admin/streaming/fileingest/")
    assert b"feature 2: bad" in page.content
    assert admin_client.get("/admin/streaming/fileingest/add/").status_code == 403
    admin_client.post("/admin/streaming/fileingest/", {"action": "ingest_again", "_selected_action": ["maps/roads.geojson"]})
    assert sync_redis().smembers(AGAIN) == {b"maps/roads.geojson"}
    user = User.objects.create_user("reader", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_fileingest"))
    request: Any = type("Request", (), {"user": user})()
    assert not FileIngestAdmin(FileIngest, AdminSite()).has_ingest_permission(request)
