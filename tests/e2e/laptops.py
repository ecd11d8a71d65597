"""Clients of file sync with folders of their own, and a network between them and a server that can stall and break."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.processes import Process, run

SYNC = (sys.executable, "-m", "streaming.client.sync")
INTERNAL = (".hub-trash", ".hub-uploads")
UP, DOWN = 0, 1
SLICE = 64 * 1024


def until(condition: Callable[[], bool], what: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)


class Laptop:
    """A client with a folder and a state of its own."""

    def __init__(self, url: str, home: Path) -> None:
        self.folder, self.state, self._url, self._home = home / "maps", home / "state", url, home
        self.process: Process | None = None
        home.mkdir()

    def command(self, *options: str) -> tuple[str, ...]:
        return (*SYNC, "--server", self._url, "--local-path", str(self.folder), "--state-dir", str(self.state), *options)

    def sync(self, *options: str, seconds: float = 30.0) -> int:
        ended = run(*self.command(*options), check=False, timeout=seconds, preloaded=True)
        print(ended.stdout, ended.stderr)
        return ended.returncode

    def start(self, *options: str) -> None:
        with (self._home / "log").open("a") as log:
            self.process = Process(*self.command(*(options or ("--realtime",))), stdout=log, stderr=log, preloaded=True)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait()
        self.process.end()
        self.process = None

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def tree(self) -> dict[str, str | None]:
        """The contents of all files; folders are None."""
        found: dict[str, str | None] = {}
        for each in self.folder.rglob("*"):
            path = each.relative_to(self.folder).as_posix()
            if path.partition("/")[0] not in INTERNAL:
                found[path] = None if each.is_dir() else each.read_text()
        return found


class Network:
    """Passes bytes on to a server and back, counts them, and stalls after so many of one direction."""

    def __init__(self, port: int) -> None:
        self.passed = [0, 0]
        """Bytes to the server, and from it."""
        self.stalled = threading.Event()
        self._port, self._most = port, [sys.maxsize, sys.maxsize]
        self._resumed = threading.Event()
        self._pauses = [0.0, 0.0]
        self._fast = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def stall_after(self, direction: int, count: int) -> None:
        """From now on; whoever is connected then gets nothing more until `cut`."""
        self.passed = [0, 0]
        self.stalled.clear()
        self._resumed.clear()
        self._most[direction] = count

    def slow_down(self, direction: int, pause: float) -> None:
        """So many seconds for each 64 KiB of a connection, until `speed_up`."""
        self._fast.clear()
        self._pauses[direction] = pause

    def speed_up(self) -> None:
        """As quick as it can be."""
        self._pauses = [0.0, 0.0]
        self._fast.set()

    def cut(self) -> None:
        """End all connections; new ones do not stall."""
        self._most = [sys.maxsize, sys.maxsize]
        self._resumed.set()
        sockets, self._sockets = self._sockets, []
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listening.close()
        self.speed_up()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._port))
                except OSError:
                    client.close()
                    continue
                self._sockets += client, server
                for direction, pair in enumerate(((client, server), (server, client))):
                    threading.Thread(target=self._pass_on, args=(direction, *pair), daemon=True).start()

    def _pass_on(self, direction: int, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(SLICE):
                if self.passed[direction] + len(data) > self._most[direction]:
                    self.stalled.set()
                    self._resumed.wait()
                    break
                if self._pauses[direction]:
                    self._fast.wait(self._pauses[direction])
                self.passed[direction] += len(data)
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
