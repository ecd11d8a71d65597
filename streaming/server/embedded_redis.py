"""A Redis for development and tests, without asking anyone to install one.

`ensure_redis` uses the Redis that is meant (REDIS_URL), else the one this data directory already runs, else the one at
the usual port, else it starts one, which ends with this process. Production sets REDIS_URL; nothing is started then.
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
    START_WITHIN,
    RedisService,
    RedisUnavailable,
    client_of,
    free_port,
    is_free,
    local_url,
    process_id,
    read_record,
    start,
    try_lock,
)

__all__ = ["RedisService", "RedisUnavailable", "demand_answer", "ensure_redis", "resolve", "start_redis"]

USUAL_PORT = 6379
ANSWER_WITHIN = 5.0  # seconds for a server that is said to run


def ensure_redis(url: str | None, data_dir: Path) -> RedisService:
    """The Redis at `url`; without one, a running or newly started one. Blocks for seconds at most; RedisUnavailable if none."""
    if url:
        demand_answer(url, "; without REDIS_URL, GeoStream starts a Redis of its own")
        return RedisService(url)
    home = _home(data_dir)
    running = _recorded_url(home)
    if running is None and _usual_redis_is_free_to_use():
        running = local_url(USUAL_PORT)
    return RedisService(running) if running else _start_or_join(home, USUAL_PORT)


def start_redis(data_dir: Path) -> RedisService:
    """A server of one's own on a free port, whatever else runs: for tests. `data_dir` must have no server yet."""
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
    """The URL that this Django project uses; a server that is started for it ends with this process."""
    from streaming.engine.conf import data_dir  # here, so that this module works without Django
    from streaming.engine.redis import configured_url

    return ensure_redis(configured_url(), data_dir()).url


def demand_answer(url: str, otherwise: str = "") -> None:
    """Wait a few seconds for the Redis at `url`. RedisUnavailable if it does not answer; `otherwise` is what else could be done."""
    deadline = time.monotonic() + ANSWER_WITHIN
    while True:
        try:
            with closing(client_of(url)) as client:
                client.ping()
            return
        except (RedisError, OSError, ValueError) as error:
            hopeless = isinstance(error, AuthenticationError | ValueError)
            if hopeless or time.monotonic() > deadline:
                raise RedisUnavailable(
                    f"REDIS_URL is {_without_password(url)}, and that does not answer PING: {error} "
                    f"Start that server or correct REDIS_URL{otherwise}."
                ) from error
        time.sleep(0.1)


def _without_password(url: str) -> str:
    return re.sub(r"//[^@/]*@|(?<=password=)[^&]*", lambda match: "//***@" if match[0][:2] == "//" else "***", url)


def _usual_redis_is_free_to_use() -> bool:
    """Whether a Redis without password answers at the usual port that will not end with some other project's process."""
    deadline = time.monotonic() + ANSWER_WITHIN
    while True:
        try:
            with closing(client_of(local_url(USUAL_PORT))) as client:
                client.ping()
                return not _is_embedded(client)
        except BusyLoadingError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        except (RedisError, OSError, ValueError):  # ValueError: what answers is not even text
            return False


def _is_embedded(client: redis.Redis) -> bool:
    try:
        answer: Any = client.config_get("dir")
    except ResponseError:  # CONFIG is renamed or forbidden: somebody's proper server
        return False
    return os.path.exists(os.path.join(answer.get("dir", ""), LOCK))  # not Path.exists: it raises where one may not look


def _recorded_url(home: Path) -> str | None:
    """Where the server of this directory answers, if it is the one recorded and its owner lives."""
    record = read_record(home)
    if record is None or process_id(record.url) != record.pid:
        return None
    if _is_alive(record.owner):
        return record.url
    with suppress(RedisError, OSError), closing(client_of(record.url)) as client:
        client.shutdown(nosave=True)  # its owner was killed, so it is ending or should be; the append-only file is kept
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
    """Start the directory's server, or use the one that another process is starting at this moment."""
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline:
        lock = try_lock(home)
        if lock is not None:
            with lock:
                return start(home, lock, port if is_free(port) else free_port())
        url = _recorded_url(home)
        if url is not None:
            return RedisService(url)
        time.sleep(0.05)
    raise RedisUnavailable(f"{home} is in use by another Redis that does not answer; end it, or set REDIS_URL.")


def _exit(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def main() -> int:
    """`python -m streaming.server.embedded_redis`: print the URL, and keep a server that was started here until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m streaming.server.embedded_redis", description=main.__doc__)
    default = os.environ.get("GEOSTREAM_DATA_DIR") or "var"
    parser.add_argument("--data-dir", type=Path, default=default, help="default: GEOSTREAM_DATA_DIR or var/")
    data_dir = parser.parse_args().data_dir
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, _exit)
    try:
        service = ensure_redis(os.environ.get("REDIS_URL"), Path(data_dir))
    except RedisUnavailable as error:
        print(error, file=sys.stderr)
        return 1
    with service:
        print(service.url, flush=True)
        return service.process.wait() if service.process else 0


if __name__ == "__main__":
    sys.exit(main())
