"""Events about files for those who subscribe to events: what has changed in the folder, and what becomes of it.

They are for those who may list the path: everybody if anybody may, else users with that permission.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streaming.core.keys import COMMON
from streaming.features.event_audience import EVERYBODY, Audience
from streaming.features.server_events import ServerEvents
from streaming.files.metadata import FileRecord, format_time
from streaming.files.rights import anonymous_rights
from streaming.models import FileIngest

SOURCE = "files"
"""The `source` of all of them."""
AGAIN = COMMON + "files:ingest-again"
"""The key of Redis with the paths that somebody wants to be ingested again."""
LIST_FILES = "streaming.list_files"
_CHANGE_TYPES = {"create": "created", "delete": "deleted"}

file_events = ServerEvents("FILE_EVENTS_PER_MINUTE")


def describe(row: FileIngest) -> dict[str, Any]:
    """A row as it is shown to clients."""
    return {
        "path": row.path,
        "status": row.status,
        "kind": row.kind or None,
        "layer": row.layer or None,
        "tileset": row.tileset or None,
        "message": row.message,
        "progress": row.progress,
        "features": row.features,
        "bbox": row.bbox,
        "crs": row.crs or None,
        "updated": row.updated.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def file_ingest(row: FileIngest) -> None:
    """Something has become of a file."""
    ended = row.status in ("ready", "failed", "ignored")
    file_events.emit("processing_status", SOURCE, {"event": "file_ingest", **describe(row)}, _readers(row.path), is_last=ended)


def file_change(
    action: str, path: str, record: FileRecord | None, seq: int | None, moved_from: str | None = None, row: FileIngest | None = None
) -> None:
    """A file was created, updated, deleted or moved. `row` says what it has become, or was."""
    payload: Mapping[str, Any] = {
        "event": "file_change",
        "action": action,
        "path": path,
        "from": moved_from,
        "hash": record.hash if record else None,
        "size": record.size if record else None,
        "modified": format_time(record.modified) if record else None,
        "seq": seq,
        "kind": (row.kind or None) if row else None,
        "bbox": row.bbox if row else None,
        "crs": (row.crs or None) if row else None,
        "layer": (row.layer or None) if row else None,
        "tileset": (row.tileset or None) if row else None,
        "status": row.status if row else None,
        "file_path": path,
        "change_type": _CHANGE_TYPES.get(action, "modified"),
    }
    file_events.emit("file_change", SOURCE, dict(payload), _readers(path))


def _readers(path: str) -> Audience:
    return EVERYBODY if anonymous_rights().allows("list", path) else Audience((LIST_FILES,))
