"""The server's own events about tilesets: their settings, their files, and what is painted over them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from hashlib import sha1
from pathlib import Path
from typing import Any

from streaming.core.bbox import Box
from streaming.features.event_audience import Audience
from streaming.features.progress import Progress
from streaming.features.server_events import message_of, readers, server_events

from .paths import imagery_folder
from .tilesets import TilesetSettings, tilesets

MOST_NAMES = 10


def tileset_event(event: str, tileset: TilesetSettings, audience: Audience) -> None:
    """A tileset was created, changed or removed (`tileset_created` …)."""
    payload = {"event": event, "tileset": tileset.name, "title": tileset.title, "message": message_of(event, tileset.name)}
    server_events.emit("custom", source_name(tileset), payload, audience)


def files_changed(tileset: TilesetSettings, before: Mapping[Path, Any], now: Mapping[Path, Any], changed: Collection[Path]) -> None:
    """Source files were added, replaced or removed.

    `before` and `now` say what the files were and are. Of all processes that watch them one publishes the event. Painted
    images have events of their own.
    """
    painted = imagery_folder(tileset.name)
    files = sorted(path for path in changed if not path.is_relative_to(painted) and path != painted)
    if not files:
        return
    kinds = {"created" if path not in before else "modified" if path in now else "deleted" for path in files}
    payload = {
        "tileset": tileset.name,
        "file_path": files[0].name,
        "change_type": kinds.pop() if len(kinds) == 1 else "modified",
        "files": [path.name for path in files[:MOST_NAMES]],
        "count": len(files),
    }
    once = sha1(repr([(path.name, now.get(path)) for path in files]).encode(), usedforsecurity=False).hexdigest()
    server_events.emit("file_change", source_name(tileset), payload, readers(tileset.permissions), once=f"{tileset.name}:{once}")


def imagery_changed(tileset: TilesetSettings, change_type: str, names: Collection[str], box: Box | None) -> None:
    """Images were painted over a tileset (`created`), or removed (`deleted`); `box` is in degrees."""
    payload = {
        "tileset": tileset.name,
        "file_path": f"imagery/{min(names)}",
        "change_type": change_type,
        "files": sorted(names)[:MOST_NAMES],
        "count": len(names),
        "bbox": box,
    }
    server_events.emit("file_change", source_name(tileset), payload, readers(tileset.permissions))


def work_on(tileset: TilesetSettings, what: str, total: int) -> Progress:
    """Work on a tileset whose progress becomes events if it takes long."""
    return Progress(f"{what}:{tileset.name}", source_name(tileset), total, lambda: _current_readers(tileset))


def reading(tileset: TilesetSettings) -> AbstractContextManager[None]:
    """Reports that files of a tileset are read, if it takes long. Nobody knows how much of it is done."""
    names = ", ".join(Path(source).name for source in tileset.sources[:MOST_NAMES])
    return work_on(tileset, "read", 1).watched(lambda: 0, f"reading {names}")


def source_name(tileset: TilesetSettings) -> str:
    """What its events have as their `source`."""
    return f"tileset:{tileset.name}"


def _current_readers(tileset: TilesetSettings) -> Audience:
    """Those who may read the tileset now; of one that is not saved yet, those who will."""
    return readers((tilesets.remembered(tileset.name) or tileset).permissions)
