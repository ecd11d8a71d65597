"""Finds the Redis of a project, or starts one for development and tests.

`ensure_redis` uses, in this order: the server of REDIS_URL; the server that this data directory already runs; the one
at the default port; a server that it starts and that ends with this process. Production sets REDIS_URL, and nothing is
started then.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import redis
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError, ResponseError

from .redis_server import (
    LOCK,
    START_SECONDS,
    RedisService,
    RedisUnavailable,
    connect,
    free_port,
    is_free,
    local_url,
    process_id,
    read_record,
    start,
    try_lock,
)

__all__ = ["RedisService", "RedisUnavailable", "ensure_redis", "require_answer", "resolve", "start_redis", "without_password"]

DEFAULT_PORT = 6379
ANSWER_SECONDS = 5.0
"""How long to wait for the answer of a server that should be running: it may still be loading its data."""


def ensure_redis(url: str | None, data_dir: Path) -> RedisService:
    """The Redis at `url`; without a URL, a running or newly started one.

    Blocks for seconds. `RedisUnavailable` if there is none.
    """
    if url:
        require_answer(url, "; without REDIS_URL, GeoStream starts a Redis of its own")
        return RedisService(url)
    home = _home(data_dir)
    running = _running_url(home)
    if running is None and _default_port_is_usable():
        running = local_url(DEFAULT_PORT)
    return RedisService(running) if running else _start_or_join(home, DEFAULT_PORT)


def start_redis(data_dir: Path) -> RedisService:
    """A new server on a free port, for tests. `RedisUnavailable` if one runs in `data_dir` already."""
    home = _home(data_dir)
    lock = try_lock(home)
    if lock is None:
        raise RedisUnavailable(f"{home} is in use by another Redis.")
    with lock:
        return start(home, lock, free_port())


def _home(data_dir: Path) -> Path:
    home = data_dir.resolve() / "redis"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return home


def resolve() -> str:
    """The URL of this Django project's Redis (`GEOSTREAM_REDIS_RESOLVER`).

    A server that is started for it ends with this process.
    """
    from streaming.engine.conf import data_dir  # late, because this module also works without Django
    from streaming.engine.redis import configured_url

    return ensure_redis(configured_url(), data_dir()).url


def require_answer(url: str, otherwise: str = "") -> None:
    """`RedisUnavailable` if the server of REDIS_URL does not answer. `otherwise` is what else could be done about it."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            with closing(connect(url)) as client:
                client.ping()
            return
        except (RedisError, OSError, ValueError) as error:
            permanent = isinstance(error, AuthenticationError | ValueError)
            if permanent or time.monotonic() > deadline:
                raise RedisUnavailable(
                    f"REDIS_URL is {without_password(url)}, and that does not answer PING: {error} "
                    f"Start that server or correct REDIS_URL{otherwise}."
                ) from error
        time.sleep(0.1)


def without_password(url: str) -> str:
    """A Redis URL that can be shown."""
    return re.sub(r"//.*@", "//***@", re.sub(r"(?<=password=)[^&]*", "***", url))


def _default_port_is_usable() -> bool:
    """Whether a Redis answers at the default port without a password, and is not the embedded one of another project."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            with closing(connect(local_url(DEFAULT_PORT))) as client:
                client.ping()
                return not _is_embedded(client)
        except BusyLoadingError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        except (RedisError, OSError, ValueError):  # ValueError: the answer is not text
            return False


def _is_embedded(client: redis.Redis) -> bool:
    """Whether the server was started by this module, so that it ends with the process that started it."""
    try:
        answer: Any = client.config_get("dir")
    except ResponseError:  # CONFIG is renamed or forbidden, which an embedded server never does
        return False
    return os.path.exists(os.path.join(answer.get("dir", ""), LOCK))  # Path.exists would raise for a folder without permission


def _running_url(home: Path) -> str | None:
    """The URL of this directory's server, if the recorded one runs and so does its owner, the process that started it."""
    record = read_record(home)
    if record is None or process_id(record.url) != record.pid:
        return None
    if _is_alive(record.owner):
        return record.url
    with suppress(RedisError, OSError), closing(connect(record.url)) as client:
        client.shutdown(nosave=True)  # its owner was killed, so it is about to end; the append-only file stays
    return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _start_or_join(home: Path, port: int) -> RedisService:
    """Start the directory's server, or use the one that another process is starting now."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        lock = try_lock(home)
        if lock is not None:
            with lock:
                return start(home, lock, port if is_free(port) else free_port())
        url = _running_url(home)
        if url is not None:
            return RedisService(url)
        time.sleep(0.05)
    raise RedisUnavailable(f"{home} is in use by another Redis that does not answer; end it, or set REDIS_URL.")


def _exit(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def main() -> int:
    """`python -m streaming.server.embedded_redis`: print the URL, and keep a server that was started here until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m streaming.server.embedded_redis", description=main.__doc__)
    parser.add_argument(
        "--data-dir", type=Path, default=os.environ.get("GEOSTREAM_DATA_DIR") or "var", help="default: GEOSTREAM_DATA_DIR or var/"
    )
    data_dir = parser.parse_args().data_dir
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, _exit)
    try:
        service = ensure_redis(os.environ.get("REDIS_URL"), data_dir)
    except RedisUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    with service:
        print(service.url, flush=True)
        return service.process.wait() if service.process else 0


if __name__ == "__main__":
    sys.exit(main())
