"""What `manage.py doctor` says of the folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from streaming.engine.conf import conf
from streaming.engine.diagnosis import Finding, error, ok

from .service import files_root

GIB = 1024**3


def look_at_folder() -> Iterator[Finding]:
    """Files: a folder with room for uploads."""
    if conf.FILES_STORAGE:
        yield ok("Files", f"in the storage {conf.FILES_STORAGE}")
        return
    folder = files_root()
    if not folder.is_dir():
        yield ok("Files", f"{folder} is made with the first one")
    elif not os.access(folder, os.W_OK):
        yield error("Files", f"{folder} cannot be written to.", "Give it to the user that runs the server, or set GEOSTREAM_FILES_ROOT.")
    elif (free := shutil.disk_usage(folder).free) < conf.FILES_FREE_BYTES:
        hint = "Make room, or lower GEOSTREAM_FILES_FREE_BYTES."
        yield error("Files", f"Uploads are refused: only {free / GIB:.1f} GiB are free in {folder}.", hint)
    else:
        yield ok("Files", f"{free / GIB:.1f} GiB are free in {folder}")
