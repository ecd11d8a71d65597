"""The one place where tests start processes: each has a group of its own that is killed with the test, and no wait is without end.

Whoever kills the tests themselves (Ctrl-C twice, a crash, the last resort of a test that hangs) leaves nothing running either: a reaper
beside them sees the end of its pipe and kills the groups that are left.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from select import select
from subprocess import DEVNULL, PIPE, STDOUT, CompletedProcess, TimeoutExpired
from threading import Lock
from typing import Any

from .preloaded import ForkServer

__all__ = ["DEVNULL", "MANAGE", "PIPE", "STDOUT", "CompletedProcess", "Process", "TimeoutExpired", "manage", "run", "starting"]

MANAGE = (sys.executable, "manage.py")
FORKING = sys.platform == "linux" and sys.version_info < (3, 15)
WAIT_SECONDS = 30.0
"""How long to wait for the end of a process, unless said otherwise."""

Start = Callable[..., "Process"]


class Process(subprocess.Popen[str]):
    """A process in a session of its own. In a `with` statement, it ends with its whole group, whatever happened.

    `manage.py`, and any other program in Python if it is to be `preloaded`, is forked from a process that has the libraries imported
    (`preloaded.py`), and if it is `abrupt`, takes nothing apart when it ends. `subprocess` has no public place for that, so what it starts
    and waits with is replaced.
    """

    _ended: int | None = None  # the pipe that says how a forked process has ended

    def __init__(self, *command: object, stdin: Any = DEVNULL, preloaded: bool = False, abrupt: bool = False, **options: Any) -> None:
        self._preloaded = preloaded or command[1:2] == MANAGE[1:]
        self._abrupt = abrupt
        super().__init__([str(word) for word in command], stdin=stdin, text=True, start_new_session=True, **options)
        _reaper().note("+", self.pid)

    def _execute_child(self, args: list[str], *rest: Any) -> None:
        _, _, _, _, folder, given, _, _, _, *streams = rest[:15]
        environment = dict(os.environ) if given is None else given
        server = _fork_server(args[0], environment) if self._preloaded and FORKING else None
        if server is None or not server.suits(environment):
            super()._execute_child(args, *rest)  # type: ignore[misc]
            return
        theirs = [number if stream == -1 else stream for number, stream in enumerate((streams[0], streams[3], streams[5]))]
        self.pid, self._ended = server.fork(args[1:], folder, environment, theirs, self._abrupt)
        self._child_created = True
        self._close_pipe_fds(*streams)  # type: ignore[attr-defined]

    def _try_wait(self, flags: int) -> tuple[int, int]:
        if self._ended is None:
            return super()._try_wait(flags)  # type: ignore[misc, no-any-return]
        if flags & os.WNOHANG and not select([self._ended], [], [], 0)[0]:
            return 0, 0
        status = os.read(self._ended, 4)
        os.close(self._ended)
        return self.pid, int.from_bytes(status, "big")

    def _internal_poll(self, *arguments: Any, **options: Any) -> int | None:
        if self._ended is None:
            return super()._internal_poll(*arguments, **options)  # type: ignore[misc, no-any-return]
        if self.returncode is None:
            pid, status = self._try_wait(os.WNOHANG)
            if pid:
                self._handle_exitstatus(status)  # type: ignore[attr-defined]
        return self.returncode

    def __exit__(self, *error: object) -> None:
        self.end()

    def wait(self, timeout: float | None = None) -> int:
        return super().wait(WAIT_SECONDS if timeout is None else timeout)

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str, str]:
        return super().communicate(input, WAIT_SECONDS if timeout is None else timeout)

    def end(self) -> None:
        """Kill what is left of the group."""
        with suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, of a group that has ended but for its zombies
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()
        for stream in (self.stdin, self.stdout, self.stderr):
            with suppress(OSError):
                stream and stream.close()
        _reaper().note("-", self.pid)


@contextmanager
def starting() -> Iterator[Start]:
    """Starts processes that are all gone at the end of the `with` statement."""
    with ExitStack() as started:
        yield lambda *command, **options: started.enter_context(Process(*command, **options))


def run(
    *command: object, input: str | None = None, timeout: float = WAIT_SECONDS, check: bool = True, **options: Any
) -> CompletedProcess[str]:
    """Run a program to its end, as `subprocess.run` does with text and captured output; a failure shows what it printed."""
    with Process(*command, stdin=DEVNULL if input is None else PIPE, stdout=PIPE, stderr=PIPE, abrupt=True, **options) as process:
        output, errors = process.communicate(input, timeout)
    assert not check or process.returncode == 0, f"{command} ended with {process.returncode}\n{output}{errors}"
    return CompletedProcess(command, process.returncode, output, errors)


def manage(*arguments: object, env: dict[str, str], **options: Any) -> CompletedProcess[str]:
    """Run a management command to its end, in a process of its own."""
    return run(*MANAGE, *arguments, env=env, **options)


def site_environment(data_dir: object, redis_url: str | None = None, **more: str) -> dict[str, str]:
    """The environment of a process that serves or manages a site of the tests."""
    environment = {**os.environ, "GEOSTREAM_DATA_DIR": str(data_dir), "DJANGO_SETTINGS_MODULE": "geostream.settings"}
    environment.pop("DATABASE_URL", None)
    environment.pop("REDIS_URL", None)
    environment["GEOSTREAM_SERVER_EVENTS"] = "0"  # as in tests/settings.py
    return {**environment, **({"REDIS_URL": redis_url} if redis_url else {}), **more}


@contextmanager
def default_signals() -> Iterator[None]:
    """Meanwhile, what is started obeys Ctrl-C and its like, also where a shell has started the tests in the background.

    Such a shell has them ignored, and what a process ignores, the programs that it starts ignore too. What it handles (here: by doing
    nothing) is back at the default in them. SIGPIPE, which Python ignores, is put back by `subprocess` itself.
    """
    ignored = [each for each in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM) if signal.getsignal(each) is signal.SIG_IGN]
    for each in ignored:
        signal.signal(each, lambda *_: None)
    yield
    for each in ignored:
        signal.signal(each, signal.SIG_IGN)


class _Reaper:
    """A process that outlives this one for a moment, and kills the groups that were noted and not struck out."""

    _PROGRAM = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    sign, group = line.split()
    (groups.add if sign == "+" else groups.discard)(int(group))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", self._PROGRAM], stdin=PIPE, text=True, bufsize=1, start_new_session=True
        )
        atexit.register(self._process.communicate, timeout=WAIT_SECONDS)

    def note(self, sign: str, group: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{sign} {group}\n")


_servers: dict[str, ForkServer] = {}
_making = Lock()


def _fork_server(python: str, environment: dict[str, str]) -> ForkServer:
    """That of an interpreter. The one of the tests is set up as they are, another as the first process that it runs."""
    with _making:
        server = _servers.get(python)
        if server is None or server.owner != os.getpid():
            server = _servers[python] = ForkServer(python, dict(os.environ) if python == sys.executable else environment)
        return server


_of_this_process: _Reaper | None = None


def _reaper() -> _Reaper:
    global _of_this_process
    if _of_this_process is None or _of_this_process.owner != os.getpid():
        _of_this_process = _Reaper()
    return _of_this_process
