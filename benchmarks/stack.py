"""A Redis, a database and a server process of the benchmark's own, thrown away afterwards."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from streaming.server.embedded_redis import start_redis
from streaming.server.redis_server import free_port

PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")
START_SECONDS = 20.0
READY_SECONDS = 90.0


def processor_seconds(*pids: int) -> float:
    """What processes have used so far, and their children that have ended."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(each) for each in fields[11:15])
    return total / TICK


def tree_seconds(root: int | None = None) -> float:
    """What the processes that a process (by default this one) has started have used so far, and those that they have started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found, total = [root or os.getpid()], 0.0
    while found:
        pid = found.pop()
        for child in [each for each, parent in parents.items() if parent == pid]:
            found.append(child)
            with suppress(OSError):
                total += processor_seconds(child)
    return total


class Site(NamedTuple):
    """Where a benchmark's things are, and the environment in which a program uses them."""

    folder: Path
    redis_url: str
    environment: dict[str, str]


class Server:
    """One `manage.py serve` process."""

    def __init__(self, pid: int, port: int, redis_url: str, folder: Path) -> None:
        self.pid = pid
        self.port = port
        self.redis_url = redis_url
        self.folder = folder

    def token(self) -> str:
        """A new access token of the superuser."""
        return str(self._post("/api/token/", {"username": "admin", "password": "admin"})["access"])

    @property
    def rss(self) -> int:
        """Resident memory in bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE

    @property
    def cpu(self) -> float:
        """Processor time used so far, in seconds."""
        return processor_seconds(self.pid)

    def _post(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


@contextmanager
def site(**settings: str) -> Iterator[Site]:
    """A Redis and a migrated database with a superuser admin/admin, that the benchmark's own process uses; no server."""
    with tempfile.TemporaryDirectory(prefix="geostream-bench-") as folder, start_redis(Path(folder) / "redis") as redis:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "geostream.settings",
            "GEOSTREAM_DATA_DIR": folder,
            "REDIS_URL": redis.url,
            "GEOSTREAM_DEBUG": "False",
            "GEOSTREAM_SECRET_KEY": secrets.token_hex(32),
            "GEOSTREAM_ALLOWED_HOSTS": "127.0.0.1",
            "GEOSTREAM_LOG_LEVEL": "WARNING",
            "DJANGO_SUPERUSER_PASSWORD": "admin",
            "GEOSTREAM_MESSAGES_PER_SECOND": "10000",
            "GEOSTREAM_BYTES_PER_SECOND": "163840000",
            "GEOSTREAM_MAX_CONNECTIONS": "20000",
            "GEOSTREAM_MAX_CONNECTIONS_PER_ADDRESS": "20000",
            "GEOSTREAM_HANDSHAKE_SECONDS": "0",
            **settings,
        }
        for command in (["migrate", "-v", "0"], ["createsuperuser", "--noinput", "--username", "admin", "--email", "a@example.org"]):
            subprocess.run([sys.executable, "manage.py", *command], check=True, env=environment, stdout=subprocess.DEVNULL)
        _configure(redis.url, folder)
        yield Site(Path(folder), redis.url, environment)


@contextmanager
def stack(workers: int = 1, /, **settings: str) -> Iterator[Server]:
    """A running server with a superuser admin/admin; the benchmark's own process uses the same Redis. `settings` are for the server.

    With several workers, the process is their supervisor.
    """
    with site(**settings) as made, serving(made, workers) as server:
        yield server


@contextmanager
def serving(made: Site, workers: int = 1) -> Iterator[Server]:
    """A running server of a site."""
    port = free_port()
    command = [sys.executable, "manage.py", "serve", "--port", str(port), "--workers", str(workers)]
    process = subprocess.Popen(command, env=made.environment, stdout=subprocess.DEVNULL)
    try:
        _wait(port, process)
        yield Server(process.pid, port, made.redis_url, made.folder)
    finally:
        process.terminate()
        process.wait(40)


def _configure(redis_url: str, folder: str) -> None:
    """Let this process publish where the server listens."""
    import django
    from django.conf import settings

    os.environ.update(REDIS_URL=redis_url, GEOSTREAM_DATA_DIR=folder, DJANGO_SETTINGS_MODULE="geostream.settings")
    if not settings.configured:
        django.setup()
    settings.DATABASES["default"]["NAME"] = str(Path(folder) / "geostream.sqlite3")
    from channels.layers import channel_layers
    from django.db import connections

    from streaming.core.redis import configure
    from streaming.features.layers import catalogue

    connections.close_all()
    connections["default"].settings_dict["NAME"] = str(Path(folder) / "geostream.sqlite3")
    catalogue.clear()
    channel_layers.backends = {}  # made for the Redis of the stack before
    configure(lambda: redis_url)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    patience, pause = time.monotonic() + READY_SECONDS, 0.05
    while time.monotonic() < patience:
        if process.poll() is not None:
            raise SystemExit("the server did not start")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                return
        except urllib.error.HTTPError:  # it serves, and loads large layers
            pause = 0.5
        except OSError:
            pass
        time.sleep(pause)
    raise SystemExit("the server did not become ready")


def wait_for_port(port: int, process: subprocess.Popen[bytes], name: str) -> None:
    """Until a program listens there; `SystemExit` if it ends or takes longer than 20 seconds."""
    patience = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < patience:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{name} did not start")


@contextmanager
def running_process(command: list[str], port: int, **environment: str) -> Iterator[int]:
    """Another program that listens on a port: its process id. It is killed in the end."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment})
    try:
        wait_for_port(port, process, command[0])
        yield process.pid
    finally:
        process.kill()
        process.wait(20)
