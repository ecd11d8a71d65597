"""A PostgreSQL of the benchmark's own, thrown away afterwards, where its programs are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from streaming.server.redis_server import free_port

from .stack import processor_seconds


class Postgres:
    """A running server."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self._pid = pid

    @property
    def cpu(self) -> float:
        """Processor time used so far by all its processes, in seconds."""
        children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
        return processor_seconds(self._pid, *map(int, children))

    def empty(self) -> None:
        """Forget everything."""
        with psycopg.connect(self.url, autocommit=True) as database:
            database.execute("DROP SCHEMA public CASCADE")
            database.execute("CREATE SCHEMA public")


def tools() -> Path | None:
    """The folder of `initdb` and `postgres`: the newest of Debian's, or whichever is on PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


@contextmanager
def postgres(folder: Path, fsync: bool) -> Iterator[Postgres]:
    """Make and start one with the usual settings, which waits for the disk at each commit or (as in the tests) does not."""
    port = free_port()
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "on" if fsync else "off"}
    with tempfile.TemporaryDirectory(prefix="geostream-bench-postgres-") as scratch:
        if os.geteuid() == 0:  # its programs refuse to run as root
            os.chown(scratch, pwd.getpwnam("postgres").pw_uid, -1)
        data = Path(scratch) / "data"
        _run([folder / "initdb", "-D", data, "-U", "geostream", "-A", "trust", "-E", "UTF8", "--no-sync"])
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        _run([folder / "pg_ctl", "-D", data, "-l", f"{scratch}/log", "-w", "start", "-o", f"-p {port} {_quoted(settings)}"])
        try:
            url = f"postgres://geostream@127.0.0.1:{port}/postgres"
            yield Postgres(url, int((data / "postmaster.pid").read_text().split()[0]))
        finally:
            _run([folder / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"])


def _quoted(settings: Sequence[str]) -> str:
    return " ".join(f"'{each}'" for each in settings)


def _run(command: Sequence[object]) -> None:
    user = "postgres" if os.geteuid() == 0 else None
    subprocess.run([str(word) for word in command], check=True, user=user, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
