"""Starts worker processes, one for each task: what GDAL makes of somebody's file happens where it can do no harm.

A worker has limits of memory, time and what it writes, no environment but what it needs, no drivers of GDAL but those of its task, and
works in the folder of its job.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import msgspec

import streaming
from streaming.engine.conf import conf

from .errors import IngestError
from .worker.tasks import DRIVERS, Answer, MakeOverviews, ReadFeatures, Refused, Task

_LIST_DRIVERS = "import pyogrio; print(','.join(pyogrio.list_drivers()))"
_KEPT = ("LD_LIBRARY_PATH", "SYSTEMROOT", "VIRTUAL_ENV", "PROJ_DATA", "GDAL_DATA")


class WorkerProcesses:
    """The worker processes of this process."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._skipped: str | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, what: ReadFeatures | MakeOverviews, folder: Path) -> Answer:
        """Have a task done, in a thread; names of files in it are in the folder. `IngestError`."""
        environment = _environment(folder)
        if isinstance(what, ReadFeatures):
            environment["OGR_SKIP"] = self._other_drivers(folder)
        task = Task(what, int(conf.INGEST_MEMORY_BYTES), int(conf.INGEST_SECONDS), int(conf.INGEST_MAX_BYTES))
        output = self._call(["-m", "streaming.ingestion.worker"], msgspec.json.encode(task), folder, environment)
        try:
            answer: Answer = msgspec.json.decode(output, type=Answer)
        except msgspec.MsgspecError:
            raise IngestError("it cannot be read: the process that reads it has ended (a limit, or a damaged file)") from None
        if isinstance(answer, Refused):
            raise IngestError(answer.message)
        return answer

    def stop(self) -> None:
        """End all of them."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

    def _other_drivers(self, folder: Path) -> str:
        """The drivers of GDAL that a worker is to do without, found out once."""
        if self._skipped is None:
            listed = self._call(["-c", _LIST_DRIVERS], b"", folder, _environment(folder)).decode().strip()
            if not listed:
                raise IngestError("the server cannot read such files: pip install 'django-geostream[ingestion]'")
            self._skipped = ",".join(name for name in listed.split(",") if name not in DRIVERS)
        return self._skipped

    def _call(self, arguments: list[str], given: bytes, folder: Path, environment: dict[str, str]) -> bytes:
        with self._lock:
            if self._stopped:
                raise IngestError("the server is ending")
            process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env=environment,
                start_new_session=True,
            )
            self._running.add(process)
        try:
            output, _ = process.communicate(given, timeout=conf.INGEST_SECONDS)
        except subprocess.TimeoutExpired:
            raise IngestError(f"it took longer than the {conf.INGEST_SECONDS:g} seconds of GEOSTREAM_INGEST_SECONDS") from None
        finally:
            with self._lock:
                self._running.discard(process)
            with suppress(OSError):
                process.kill()
            process.communicate()
        return output


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {
        "PYTHONPATH": str(Path(streaming.__file__).parents[1]),
        "LANG": "C.UTF-8",
        "TMPDIR": str(folder),
        "HOME": str(folder),
        "OPENBLAS_NUM_THREADS": "1",
        "PROJ_NETWORK": "OFF",
        "GDAL_DRIVER_PATH": "disable",
        "OGR_SQLITE_LIST_VIRTUAL_OGR": "NO",
        "SHAPE_RESTORE_SHX": "NO",
    }
