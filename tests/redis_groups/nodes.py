"""Redis servers that belong together, each a process of its own: under Sentinels, or as a cluster."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from streaming.server.redis_server import find_server
from tests.processes import Process
from tests.server_process import free_port

if TYPE_CHECKING:
    from .network import Machine

START_SECONDS = 20.0


class RedisNode:
    """A running server with a client for orders. `config` is what its file says besides port and folder."""

    def __init__(self, folder: Path, stack: ExitStack, config: str, *options: str, port: int = 0, machine: Machine | None = None) -> None:
        """`machine`: where it runs, if not on this one."""
        self.host = machine.address if machine else "127.0.0.1"
        self.port = port or free_port()
        folder.mkdir(exist_ok=True)
        file = folder / f"{self.port}.conf"
        file.write_text(f'bind {self.host}\nprotected-mode no\nport {self.port}\ndir "{folder}"\n{config}')
        self._log = folder / f"{self.port}.log"
        command = (*(machine.prefix if machine else ()), find_server())
        log = stack.enter_context(self._log.open("ab"))
        self._process = stack.enter_context(Process(*command, file, *options, stdout=log, stderr=log))
        self.client = redis.Redis(self.host, self.port, socket_timeout=5, retry=Retry(NoBackoff(), 0), protocol=2, decode_responses=True)
        stack.callback(self.client.close)
        wait_for(self._answers, "a Redis that answers")

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        return bool(self.client.ping())

    def ask(self, *words: Any) -> Any:
        """The answer to a command, as Redis gives it."""
        return self.client.execute_command(*words)

    def kill(self) -> None:
        self._process.end()

    def freeze(self) -> None:
        """It answers nothing any more, though its connections stay."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)


def wait_for(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Ask until it is so. An error of Redis is no answer: a failover ends the connections of all clients."""
    deadline = time.monotonic() + seconds
    while not _holds(condition):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)


def _holds(condition: Callable[[], bool]) -> bool:
    with suppress(RedisError):
        return condition()
    return False
