"""Programs as a container, a unit of systemd or a proxy starts them: with an environment of their own, ended by SIGTERM."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.processes import CompletedProcess, Process, run

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCUMENT = DEPLOY.parent / "docs" / "deploy.md"
SECONDS = 120.0
USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def only(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment with nothing of this process' own, but for what .ci/run knows its processes by."""
    return {**{name: value for name, value in os.environ.items() if name == "GEOSTREAM_CI_RUN"}, "PATH": USUAL_PATH, **environment}


class Program:
    """One running program and what it prints."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = Process(*command, cwd=folder, env=only(environment), stdout=output, stderr=output)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for what the program is started for; fail with what it printed if it ends before, or takes too long."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert self.process.poll() is None and time.monotonic() < deadline, f"{self.process.args!r}\n{self.log.read_text()}"
            time.sleep(0.05)

    def end(self, seconds: float = SECONDS) -> None:
        """Send SIGTERM, unless it has ended, and wait; fail if that takes longer."""
        with self.process:
            self.process.terminate()
            self.process.wait(seconds)


@contextmanager
def running(command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> Iterator[Program]:
    """A program for as long as the block takes."""
    program = Program(command, folder, environment, log)
    try:
        yield program
    finally:
        program.end()


def finished(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> CompletedProcess[str]:
    """What a program that ends by itself printed, and its exit code."""
    return run(*command, cwd=folder, env=only(environment), timeout=SECONDS, check=False)
