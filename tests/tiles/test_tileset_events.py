"""Events about the files of tilesets and what is painted over them."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command

import streaming
from streaming.core.redis import sync_redis
from streaming.features import progress
from streaming.features.events import event_feed
from streaming.management.commands import add_tiles
from streaming.models import Tileset
from streaming.tiles import imagery, tile_renderer
from streaming.tiles.imagery import clear_imagery_sync, paint_sync
from streaming.tiles.source_files import SourceFiles
from streaming.tiles.sources.kind import SourceKind
from streaming.tiles.tilesets import TilesetSettings, tileset_settings
from tests.server_events import events, server_events_on

RELIEF = Path(streaming.__path__[0]) / "demo" / "relief.tif"
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis")]


@pytest.fixture
def tileset(settings: Any, tmp_path: Path) -> Iterator[TilesetSettings]:
    settings.GEOSTREAM_DATA_DIR = tmp_path
    shutil.copy(RELIEF, tmp_path / "relief.tif")
    with server_events_on(settings):
        yield tileset_settings(Tileset.objects.create(name="relief", kind="raster", source="relief.tif"))


def changes() -> list[tuple[Any, ...]]:
    found = [each for each in events() if each["type"] == "file_change"]
    return [(each["source"], each["file_path"], each["change_type"], each["count"]) for each in found]


def test_a_replaced_file_is_one_event_however_many_processes_watch_it(tileset: TilesetSettings, tmp_path: Path) -> None:
    watchers = [SourceFiles(tileset), SourceFiles(tileset)]
    shutil.copy(RELIEF, tmp_path / "new.tif")
    os.replace(tmp_path / "new.tif", tmp_path / "relief.tif")
    assert all(watcher.take_change(set()) for watcher in watchers)
    assert changes() == [("tileset:relief", "relief.tif", "modified", 1)]
    os.remove(tmp_path / "relief.tif")
    assert all(watcher.take_change(set()) for watcher in watchers)
    assert changes()[1:] == [("tileset:relief", "relief.tif", "deleted", 1)]


def test_a_painted_image_is_one_event_and_not_a_changed_file(tileset: TilesetSettings) -> None:
    painted = SourceFiles(tileset)
    paint_sync(tileset, RELIEF, "storm")
    painted.take_change(set())
    clear_imagery_sync(tileset)
    painted.take_change(set())
    assert changes() == [
        ("tileset:relief", "imagery/storm", "created", 1),
        ("tileset:relief", "imagery/storm", "deleted", 1),
    ]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is done takes long enough to be reported."""
    monkeypatch.setattr(progress, "FIRST_SECONDS", 0.05)
    for module, name in ((imagery, "_check"), (tile_renderer, "open_source"), (add_tiles, "check_tileset"), (SourceKind, "copy")):
        monkeypatch.setattr(module, name, _once_reported(getattr(module, name)))


def _once_reported(work: Callable[..., Any]) -> Callable[..., Any]:
    def slowly(*args: Any) -> Any:
        before = len(events())
        result = work(*args)
        while len(events()) <= before:
            pass
        return result

    return slowly


def reported() -> list[tuple[str, str, float]]:
    """Task, message and percentage, of each the last."""
    found = [each for each in events() if each["type"] == "progress"]
    last = {each["task_id"]: (each.get("message", ""), each["progress_percent"]) for each in found}
    return [(task.rpartition(":")[0], *rest) for task, rest in last.items()]


def test_a_painted_image_that_takes_long_is_reported(tileset: TilesetSettings, slow: None) -> None:
    paint_sync(tileset, RELIEF, "storm")
    assert reported() == [("paint:relief", "", 100.0)]
    assert changes() == [("tileset:relief", "imagery/storm", "created", 1)]


async def test_a_source_that_takes_long_to_open_is_reported(tileset: TilesetSettings, slow: None) -> None:
    renderer = tile_renderer.TileRenderer()
    await renderer.opened(tileset)
    renderer.close()
    assert await sync_to_async(reported)() == [("read:relief", "", 100.0)]
    first = next(each for each in await sync_to_async(events)() if each["type"] == "progress")
    assert (first["current"], first["message"]) == (0, "reading relief.tif")


def test_a_copy_that_takes_long_is_reported(tileset: TilesetSettings, slow: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "clouds.tif"
    shutil.copy(RELIEF, elsewhere)
    call_command("add_tiles", "clouds", str(elsewhere), copy=True, private=True, stdout=io.StringIO())
    assert [(task, percent) for task, _, percent in reported()] == [("copy:clouds", 100.0), ("read:clouds", 100.0)]
    sizes = {each["total"] for each in events() if each["type"] == "progress" and each["task_id"].startswith("copy:")}
    assert sizes == {RELIEF.stat().st_size}
    assert set(audiences()) == {("streaming.view_tileset",)}


def audiences() -> list[tuple[str, ...]]:
    lines: Any = sync_redis().xrange(event_feed().log_key)
    stored = [json.loads(fields[b"n"][13:]) for _, fields in lines]
    return [tuple(each.get("audience", {}).get("needs", ())) for each in stored if each["payload"]["source"] == "tileset:clouds"]
