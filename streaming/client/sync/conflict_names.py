"""Names of conflict copies, as Syncthing has them: `ortho.sync-conflict-20240115-103000-6f1c2f0e.tif`.

All endings of a file stay behind the mark, so that files that belong together (`ortho.tif`, `ortho.tif.aux.xml`) still do.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

MARK = ".sync-conflict-"


def conflict_name(path: str, client_id: str, now: datetime) -> str:
    """The name that the local version of a file gets."""
    folder, slash, name = path.rpartition("/")
    stem, dot, endings = name[1:].partition(".")
    client = re.sub(r"[^A-Za-z0-9]", "", client_id)[:8] or "unknown"
    return f"{folder}{slash}{name[:1]}{stem}{MARK}{now.astimezone(UTC):%Y%m%d-%H%M%S}-{client}{dot}{endings}"


def is_conflict_copy(path: str) -> bool:
    """Whether a file is such a copy."""
    return MARK in path.rpartition("/")[2]
