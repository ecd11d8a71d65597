"""A site of one or more server processes, with workers and a console beside them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.processes import MANAGE, PIPE, Process
from tests.server_process import ServerProcess

PROGRAMS = "tests.ogc_processes.e2e.programs:worker"
QUICK = {
    "GEOSTREAM_PROCESS_LEASE_SECONDS": "6",
    "GEOSTREAM_PROCESS_HEARTBEAT_SECONDS": "1",
    "GEOSTREAM_PROCESS_ACK_SECONDS": "2",
    "GEOSTREAM_PROCESS_CANCEL_SECONDS": "1",
    "GEOSTREAM_PROCESS_CLAIM_SECONDS": "0.5",
    "GEOSTREAM_NODE_TTL_SECONDS": "3",
}
"""So that a test need not wait for a minute."""
SECONDS = 30.0
ENDED = ("successful", "failed", "dismissed")
AT_ONCE = 20
"""How many of many jobs are looked at until they have ended, before the next ones are."""


class Console:
    """See `console.py`."""

    def __init__(self, environment: dict[str, str]) -> None:
        program = "from tests.ogc_processes.e2e.console import main; main()"
        self._process = Process(*MANAGE, "shell", "--no-imports", "-c", program, env=environment, stdin=PIPE, stdout=PIPE)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments, **named: self._call(name, *arguments, **named)

    def _call(self, what: str, *arguments: Any, **named: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": what, "arguments": arguments, **named}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["is"]

    def end(self) -> None:
        self._process.end()


class Site:
    """Servers that share a database; workers connect to whichever."""

    def __init__(self, servers: Sequence[ServerProcess], folder: Path) -> None:
        self.servers = list(servers)
        self.folder = folder
        self.console = Console(servers[0].environment)
        self._workers = ExitStack()
        self._token = ""
        self._records = 0

    @property
    def token(self) -> str:
        if not self._token:
            self._token = self.console.token()
        return self._token

    def revoke(self) -> None:
        """The token of the workers; the next one gets another."""
        self.console.revoke("e2e")
        self._token = ""

    def url(self, server: int = 0) -> str:
        return f"ws://127.0.0.1:{self.servers[server].port}/ws/processes"

    def worker(self, name: str, *, server: int = 0, concurrency: int = 4, token: str = "", url: str = "", wait: bool = True) -> Process:
        """A worker as a program of its own, which offers its processes when this returns."""
        environment = {**self.servers[0].environment, "GEOSTREAM_WORKER_TOKEN": token or self.token}
        options = ("--url", url or self.url(server), "--name", name, "--concurrency", concurrency)
        return self.program(name, [sys.executable, "-m", "processes.worker", PROGRAMS, *options], environment, wait)

    def program(self, name: str, command: Sequence[object], environment: dict[str, str], wait: bool = True) -> Process:
        """Any program that is a worker."""
        with (self.folder / f"worker-{name}.log").open("ab") as log:
            process = Process(*command, env=environment, stdout=log, stderr=log)
        self._workers.push(process.__exit__)
        if wait:
            until(lambda: self.console.workers().get(name, {}).get("online"), f"{name} connects")
            until(lambda: self.console.offered("ticks"), f"{name} offers its processes")
        return process

    def record(self) -> Path:
        """A file for what the functions do."""
        self._records += 1
        path = self.folder / f"record-{self._records}"
        path.touch()
        return path

    def submit(self, process: str, count: int = 1, **inputs: Any) -> list[str]:
        ids: list[str] = self.console.submit(
            process, {name: str(each) if isinstance(each, Path) else each for name, each in inputs.items()}, count
        )
        return ids

    def status(self, job: str) -> str:
        return str(self.job(job)["status"])

    def job(self, job: str) -> dict[str, Any]:
        return dict(self.console.jobs([job])[0])

    def ended(self, *jobs: str, seconds: float = SECONDS) -> list[dict[str, Any]]:
        """The jobs, once all have ended."""
        waiting = list(jobs)

        def all_ended() -> bool:
            while waiting and all(each["status"] in ENDED for each in self.console.jobs(waiting[:AT_ONCE])):
                del waiting[:AT_ONCE]
            return not waiting

        until(all_ended, "jobs end", seconds)
        return list(self.console.jobs(list(jobs)))

    def reset(self) -> None:
        """No workers and no jobs."""
        self._workers.close()
        self._workers = ExitStack()
        until(lambda: not any(each["online"] for each in self.console.workers().values()), "workers leave")
        self.console.clear()

    def end(self) -> None:
        self._workers.close()
        self.console.end()


def until(done: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """What `done` returns once that is something."""
    deadline = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)
    return found


def lines(record: Path, what: str) -> list[str]:
    """Of a record, those that begin so."""
    return [line for line in record.read_text().splitlines() if line.startswith(what)]
