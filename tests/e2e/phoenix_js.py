"""The npm package `phoenix` in a Node.js process that does what a test says: tests/js/phoenix/client.mjs."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tests.conftest import missing

ROOT = Path(__file__).parent.parent.parent
TIMEOUT = 10.0
PACKAGES = {"1.8": "phoenix", "1.7": "phoenix-1-7"}

Happening = dict[str, Any]


def node(*packages: str) -> str:
    """Where Node.js is; skips the test without it, or without the packages."""
    found = shutil.which("node")
    if found is None or not all((ROOT / "node_modules" / package).is_dir() for package in ("ws", *packages)):
        missing("Node.js and its packages (npm ci)")
    return str(found)


class PhoenixJs:
    """One process with as many sockets as a test opens. Sockets and channels reconnect after a tenth of a second."""

    def __init__(self, package: str) -> None:
        self._process = subprocess.Popen(
            [node(package), "tests/js/phoenix/client.mjs", package], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._numbers = count(1)
        self._answers: dict[int, Any] = {}
        self._happened: list[Happening] = []
        self._news = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def stop(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(TIMEOUT)
        self._thread.join()
        self._process.stdout.close()

    def socket(self, url: str, **options: Any) -> Socket:
        """A socket that is connected."""
        socket = Socket(self, f"socket-{next(self._numbers)}")
        self.call("connect", socket=socket.name, url=url, **options)
        return socket

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
            others = [other for other in self._happened[:index] if _about(other) != _about(happening)]
            self._happened = others + self._happened[index + 1 :]
            return happening

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


def _about(happening: Happening) -> tuple[Any, Any]:
    return happening.get("socket"), happening.get("topic")


class Socket:
    """A `Socket` of the package, by the name that the process knows it by."""

    def __init__(self, client: PhoenixJs, name: str) -> None:
        self.client = client
        self.name = name

    def join(self, topic: str, *params: dict[str, Any], **options: Any) -> Topic:
        """A channel that is joined; each join takes the next of `params`, at last the last one again and again."""
        status, response = self.try_join(topic, *params, **options)
        assert status == "ok", response
        return Topic(self, topic, response)

    def try_join(self, topic: str, *params: dict[str, Any], **options: Any) -> tuple[str, Any]:
        """Status and response of the first join."""
        status, response = self.client.call("join", socket=self.name, topic=topic, params=list(params) or [{}], **options)
        return status, response

    def until(self, what: str, timeout: float = TIMEOUT, **about: Any) -> Happening:
        return self.client.until(what, timeout, socket=self.name, **about)

    def disconnect(self) -> None:
        self.client.call("disconnect", socket=self.name)


class Topic:
    """A `Channel` of the package."""

    def __init__(self, socket: Socket, name: str, response: Any) -> None:
        self.socket = socket
        self.name = name
        self.response = response

    def push(self, event: str, payload: Any) -> tuple[str, Any]:
        """Status and response; bytes, here and there, are `{"hex": ...}`."""
        status, response = self._call("push", event=event, payload=payload)
        return status, response

    def leave(self) -> tuple[str, Any]:
        status, response = self._call("leave")
        return status, response

    @property
    def state(self) -> str:
        """closed, errored, joined, joining or leaving."""
        return str(self._call("state"))

    def until(self, what: str, timeout: float = TIMEOUT, **about: Any) -> Happening:
        return self.socket.until(what, timeout, topic=self.name, **about)

    def message(self, event: str) -> Any:
        """The payload of the next message of an event."""
        return self.until("message", event=event)["payload"]

    def shows(self, *keys: str) -> None:
        """Sooner or later these are shown as present, each once for every time it is given."""
        wanted = [[key, keys.count(key)] for key in sorted(set(keys))]
        while sorted(self.until("presence")["keys"]) != wanted:
            pass

    def _call(self, what: str, **about: Any) -> Any:
        return self.socket.client.call(what, socket=self.socket.name, topic=self.name, **about)


@contextmanager
def phoenix_js(version: str) -> Iterator[PhoenixJs]:
    """The package in one of its versions."""
    client = PhoenixJs(PACKAGES[version])
    try:
        yield client
    finally:
        client.stop()
