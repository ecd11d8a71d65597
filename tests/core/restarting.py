"""A Redis of a test's own that is stopped and started again, at the same port and with the same append-only file."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streaming.server.embedded_redis import start_redis
from streaming.server.redis_server import process_id, start, try_lock


class RestartingRedis:
    """Runs when it is made."""

    def __init__(self, folder: Path) -> None:
        self._service = start_redis(folder)
        assert self._service.home is not None
        self._home = self._service.home
        self.url = self._service.url

    def stop(self) -> None:
        self._service.stop()

    def start(self) -> None:
        lock = try_lock(self._home)
        assert lock is not None
        with lock:
            self._service = start(self._home, lock, int(self.url.rsplit(":", 1)[1].split("/")[0]))
        assert self._service.url == self.url

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Meanwhile it answers nothing, though all its connections stay."""
        pid = process_id(self.url)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)
