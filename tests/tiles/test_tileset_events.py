"""Events about the files of tilesets and what is painted over them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import streaming
from streaming.features.server_events import server_events
from streaming.models import Tileset
from streaming.tiles.imagery import clear_imagery_sync, paint_sync
from streaming.tiles.source_files import SourceFiles
from streaming.tiles.tilesets import TilesetSettings, tileset_settings
from tests.features.test_server_events import events

RELIEF = Path(streaming.__path__[0]) / "demo" / "relief.tif"
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis")]


@pytest.fixture
def tileset(settings: Any, tmp_path: Path) -> Iterator[TilesetSettings]:
    settings.GEOSTREAM_DATA_DIR = tmp_path
    settings.GEOSTREAM_SERVER_EVENTS = True
    shutil.copy(RELIEF, tmp_path / "relief.tif")
    yield tileset_settings(Tileset.objects.create(name="relief", kind="raster", source="relief.tif"))
    server_events.flush()


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
