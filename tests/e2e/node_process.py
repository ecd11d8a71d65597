"""A Node.js process that does what a test says, with a package of npm that users have: it is told and tells in lines of JSON."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from tests.conftest import missing
from tests.processes import PIPE, Process

ROOT = Path(__file__).parent.parent.parent
TIMEOUT = 10.0

Happening = dict[str, Any]


def node(*packages: str) -> str:
    """Where Node.js is; skips the test without it, or without the packages."""
    found = shutil.which("node")
    if found is None or not all((ROOT / "node_modules" / package).is_dir() for package in ("ws", *packages)):
        missing("Node.js and its packages (npm ci)")
    return str(found)


class NodeProcess:
    """One process with as many sockets as a test opens."""

    subjects: ClassVar[tuple[str, ...]] = ("socket",)
    """What a happening can be about."""

    def __init__(self, package: str, script: str, *arguments: str) -> None:
        self._process = Process(node(package), script, *arguments, cwd=ROOT, stdin=PIPE, stdout=PIPE)
        self._numbers = count(1)
        self._answers: dict[int, Any] = {}
        self._happened: list[Happening] = []
        self._news = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def stop(self) -> None:
        """End its input, which ends a script that is done; whatever it does, it is gone afterwards."""
        assert self._process.stdin is not None
        with self._process:
            self._process.stdin.close()
            self._process.wait(TIMEOUT)
        self._thread.join()

    def connected(self, url: str, **options: Any) -> str:
        """Open a socket; its name."""
        name = f"socket-{next(self._numbers)}"
        self.call("connect", socket=name, url=url, **options)
        return name

    def disconnect_all(self) -> None:
        """Sockets go, and what happened is forgotten."""
        self.call("clear")
        self._happened.clear()

    def call(self, what: str, timeout: float = TIMEOUT, **about: Any) -> Any:
        return self.result(self.start(what, **about), timeout)

    def start(self, what: str, **about: Any) -> int:
        """Begin something whose `result` is asked for later."""
        number = next(self._numbers)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "call": what, **about}) + "\n")
        self._process.stdin.flush()
        return number

    def result(self, number: int, timeout: float = TIMEOUT) -> Any:
        self._wait(lambda: number in self._answers, timeout, lambda: "the client did not answer")
        return self._answers.pop(number)

    def until(self, what: str, timeout: float = TIMEOUT, **about: Any) -> Happening:
        """The next time that this happens; what happened before it is forgotten, unless it is about something else."""
        wanted = {"on": what, **about}

        def found() -> int | None:
            return next((index for index, happening in enumerate(self._happened) if wanted.items() <= happening.items()), None)

        self._wait(lambda: found() is not None, timeout, lambda: f"not told of {wanted}, but of {self._happened}")
        with self._news:
            index = found()
            assert index is not None
            happening = self._happened[index]
            others = [other for other in self._happened[:index] if self._about(other) != self._about(happening)]
            self._happened = others + self._happened[index + 1 :]
            return happening

    @property
    def happened(self) -> list[Happening]:
        """What nobody has asked for yet."""
        with self._news:
            return list(self._happened)

    def _about(self, happening: Happening) -> list[Any]:
        return [happening.get(subject) for subject in self.subjects]

    def _wait(self, done: Callable[[], bool], timeout: float, why: Callable[[], str]) -> None:
        deadline = time.monotonic() + timeout
        with self._news:
            while not done():
                assert not self._ended, "the client ended"
                assert self._news.wait(deadline - time.monotonic()) or time.monotonic() < deadline, why()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            with self._news:
                if "id" in said:
                    self._answers[said["id"]] = said["is"]
                else:
                    self._happened.append(said)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()
