"""This machine: the versions of Python and of libraries, open files, disk space."""

from __future__ import annotations

import os
import platform
import resource
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from ..conf import conf, data_dir
from ..diagnosis import Finding, error, ok, warning

LEAST = {
    "Django": (5, 2),
    "channels": (4, 3),
    "channels-redis": (4, 3),
    "redis": (6,),
    "uvicorn": (0, 52, 1),  # restored write backpressure
    "msgspec": (0, 20),
    "shapely": (2, 1),
}
OTHER_FILES = 200
"""Open files besides those of connections."""
GIB = 1024**3
LITTLE, TOO_LITTLE = 2 * GIB, GIB // 4
"""Bytes that are free on the disk of the data folder."""


def look_at_versions() -> Iterator[Finding]:
    """Versions: new enough."""
    found = []
    for name, least in LEAST.items():
        wanted = ".".join(map(str, least))
        try:
            here = version(name)
        except PackageNotFoundError:
            yield error("Versions", f"{name} is not installed.", f"Run: pip install '{name}>={wanted}'")
            continue
        found.append(f"{name} {here}")
        if _numbers(here) < least:
            yield error("Versions", f"{name} {here} is too old.", f"Run: pip install '{name}>={wanted}'")
    yield ok("Versions", f"Python {platform.python_version()}, {', '.join(found)}")


def look_at_files() -> Iterator[Finding]:
    """Open files: as many as connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = conf.MAX_CONNECTIONS + OTHER_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        hint = f"`ulimit -Hn {needed}`, LimitNOFILE={needed} in a unit of systemd, or a smaller GEOSTREAM_MAX_CONNECTIONS."
        yield warning(
            "Open files", f"A process may have {hard:,}, which is not enough for GEOSTREAM_MAX_CONNECTIONS={conf.MAX_CONNECTIONS}.", hint
        )
    else:
        yield ok("Open files", f"{soft:,}, and `serve` takes up to {hard:,}, for {conf.MAX_CONNECTIONS:,} connections of a process")


def look_at_disk() -> Iterator[Finding]:
    """Disk: room in the data folder, which can be written to."""
    folder = data_dir()
    if not folder.is_dir():
        yield warning("Disk", f"The data folder {folder} does not exist yet.", "It is made when a server starts, if that may make it.")
        return
    if not os.access(folder, os.W_OK):
        yield error(
            "Disk",
            f"The data folder {folder} cannot be written to.",
            "Give it to the user that runs the server, or set GEOSTREAM_DATA_DIR.",
        )
    free = shutil.disk_usage(folder).free
    message = f"{free / GIB:.1f} GiB are free in {folder}"
    if free < LITTLE:
        yield (error if free < TOO_LITTLE else warning)(
            "Disk", f"Only {message}.", "Make room: files, tiles and perhaps the database are there."
        )
    else:
        yield ok("Disk", message)


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers at the beginning of a version."""
    numbers = []
    for part in text.split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)
