"""Recorded changes: the lines that `manage.py tail --record` writes and `manage.py replay` reads.

Each is a JSON object: when the change came, its type, layer and id, why a feature was deleted, and the whole feature.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

_MENTIONED = b'"recorded"'


class RecordedChange(msgspec.Struct, omit_defaults=True):
    """One change. `recorded` is an RFC 3339 time; `feature` is missing from deletions."""

    recorded: str
    type: Literal["added", "updated", "deleted"]
    layer: str | None
    id: str | int
    feature: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    reason: str | None = None


_decode = msgspec.json.Decoder(RecordedChange).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


def write_change(type: Any, layer: str | None, id: str | int, feature: Any, reason: str | None, moment: datetime | None = None) -> bytes:
    """The line of a change that comes at this moment, with its line break."""
    recorded = (moment or datetime.now(UTC)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    raw = msgspec.UNSET if type == "deleted" else msgspec.Raw(msgspec.json.encode(feature))
    return msgspec.json.encode(RecordedChange(recorded, type, layer, id, raw, reason)) + b"\n"


def read_change(line: bytes) -> RecordedChange | None:
    """The change of a line; None if the line is none, such as a Feature."""
    if _MENTIONED not in line:
        return None
    try:
        return _decode(line)
    except _UNREADABLE:
        return None
