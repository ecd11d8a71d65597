"""A fork server for `manage.py` and other programs: processes of Python that begin with the libraries imported, which is most of what
their start costs.

What is forked runs as if it had been started: in a session of its own, with its own environment, folder and standard streams, and it ends
as any interpreter does (unless it may do so abruptly). Of this project it has only those modules imported that need no settings, which
each process reads for itself. It is a child of the fork server, which reports how it ended through a pipe. A fork server belongs to one
process of tests, and ends with it; it is one of an interpreter, which may be that of another virtual environment, with the libraries that
are there.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

LIBRARIES = (
    *("asyncio", "concurrent.futures", "ctypes", "logging.config", "sqlite3", "ssl", "unittest.mock", "xml.etree.ElementTree"),
    *("django.core.management", "django.core.handlers.asgi", "django.core.checks", "django.core.cache", "django.core.mail"),
    *(
        "django.db.models",
        "django.db.migrations.executor",
        "django.db.backends.sqlite3.base",
        "django.forms",
        "django.template.defaulttags",
    ),
    *("django.test.client", "django.views.generic", "django.contrib.admin.widgets", "django.contrib.staticfiles.finders"),
    *("channels.layers", "channels.consumer", "channels_redis.core", "redis.asyncio", "rest_framework.fields", "jwt", "cryptography.x509"),
    *("uvicorn.main", "uvicorn.protocols.http.h11_impl", "uvicorn.protocols.http.httptools_impl", "uvicorn.loops.uvloop", "websockets"),
    *("msgpack", "msgspec", "numpy", "PIL.Image", "prometheus_client", "psycopg", "pyproj", "shapely", "watchfiles", "zstandard"),
    *("django.core.asgi", "django.db.migrations.autodetector", "servestatic.middleware"),
    *("httpx", "jsonschema_rs", "pathspec", "pygments", "requests", "tqdm", "yaml"),
)
"""Those that are not installed are left out, as in a project without them."""
ROOT = Path(__file__).parents[1]
PROJECT = ("streaming", "processes")
LEFT_OUT = ("__main__", "builtin", "management", "migrations", "rasters", "sources", "worker")
"""What hardly a server imports, and what loads GDAL, which opens files."""


class ForkServer:
    """The client's side of one fork server."""

    def __init__(self, python: str, environment: dict[str, str]) -> None:
        self.owner = os.getpid()
        self._python = _interpreter_settings(environment)
        self._asking = threading.Lock()
        self._socket, theirs = socket.socketpair()
        # -P: as for `python manage.py`, the folder from which it is started is not where modules are looked for.
        command = [python, "-P", __file__, str(theirs.fileno()), *([str(ROOT)] if python == sys.executable else [])]
        self._process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=environment, start_new_session=True
        )
        theirs.close()
        atexit.register(self._end)

    def _end(self) -> None:
        self._socket.close()
        self._process.wait(10)

    def suits(self, environment: dict[str, str]) -> bool:
        """Whether a process with this environment may be forked: its interpreter would be set up as the server's is."""
        return _interpreter_settings(environment) == self._python

    def fork(
        self, arguments: list[str], folder: str | Path | None, environment: dict[str, str], streams: list[int], abrupt: bool
    ) -> tuple[int, int]:
        """Start Python with these arguments; returns the process' id and a pipe from which the status can be read with which it ended."""
        ended, ending = os.pipe()
        request = json.dumps([arguments, str(folder or os.getcwd()), environment, abrupt]).encode()
        with self._asking:
            socket.send_fds(self._socket, [len(request).to_bytes(4, "big")], [*streams, ending])
            self._socket.sendall(request)
            pid = int.from_bytes(_exactly(self._socket, 4), "big")
        os.close(ending)
        return pid, ended


def _interpreter_settings(environment: Any) -> dict[str, str]:
    return {name: value for name, value in environment.items() if value and name.startswith(("PYTHON", "LD_", "MALLOC_"))}


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        some = connection.recv(size - len(data))
        if not some:
            raise EOFError
        data += some
    return data


def _serve(connection: socket.socket) -> tuple[list[str], bool]:
    """Fork what is asked for. Returns, in each child, what is to be run there, and whether it may end abruptly."""
    running: dict[int, int] = {}
    wakeup, woken = socket.socketpair()
    for end in (wakeup, woken):
        end.setblocking(False)
    signal.set_wakeup_fd(woken.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(connection, selectors.EVENT_READ)
    selector.register(wakeup, selectors.EVENT_READ)
    while True:
        ready = [key.fileobj for key, _ in selector.select()]
        if wakeup in ready:
            with contextlib.suppress(BlockingIOError):
                wakeup.recv(1000)
            _report_ended(running)
        if connection not in ready:
            continue
        try:
            size, descriptors, _, _ = socket.recv_fds(connection, 4, 4)
            arguments, folder, environment, abrupt = json.loads(_exactly(connection, int.from_bytes(size, "big")))
        except (EOFError, ValueError):
            os._exit(0)
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            for used in (selector, wakeup, woken):
                used.close()
            for other in running.values():
                os.close(other)
            _become(folder, environment, descriptors)
            connection.sendall(os.getpid().to_bytes(4, "big"))
            connection.close()
            return list(arguments), bool(abrupt)
        running[pid] = descriptors[3]
        for descriptor in descriptors[:3]:
            os.close(descriptor)


def _report_ended(running: dict[int, int]) -> None:
    for pid in list(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            pipe = running.pop(pid)
            with contextlib.suppress(BrokenPipeError):
                os.write(pipe, status.to_bytes(4, "big"))
            os.close(pipe)


def _become(folder: str, environment: dict[str, str], descriptors: list[int]) -> None:
    """A process as if it had been started."""
    os.setsid()
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)


def _import_project(name: str) -> None:
    """Import a package or module, and all that is in it, as far as that needs no settings."""
    try:
        module = importlib.import_module(name)
    except (ImportError, ImproperlyConfigured):
        return
    for inner in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if inner.name not in LEFT_OUT:
            _import_project(f"{name}.{inner.name}")


def _run(arguments: list[str]) -> None:
    """What `python` does with these arguments: `FILE …`, `-m MODULE …` or `-c PROGRAM …`."""
    sys.orig_argv = [sys.executable, *arguments]  # with which `serve` executes itself again
    option, what = (arguments[0], arguments[1]) if arguments[0] in ("-m", "-c") else ("", arguments[0])
    sys.argv = arguments if not option else ["-c", *arguments[2:]] if option == "-c" else arguments[1:]
    sys.path[0] = os.getcwd() if option == "-m" else "" if option == "-c" else str(Path(what).parent.resolve())
    if option == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    elif option == "-c":
        sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), vars(sys.modules["__main__"]))
    else:
        runpy.run_path(what, run_name="__main__")


def _end(code: int) -> None:
    """End as the interpreter does, but for taking apart all that was imported: that takes longer than many a command."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError):  # let the interpreter say so
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code & 0xFF)


def main() -> None:
    """The fork server; and, in each of its children, what is to be run there."""
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    sys.path.insert(0, *sys.argv[2:] or [""])  # the place of what each process puts there for itself
    for name in PROJECT if sys.argv[2:] else ():
        _import_project(name)
    gc.collect()
    gc.freeze()
    arguments, abrupt = _serve(socket.socket(fileno=int(sys.argv[1])))
    code: object = None
    try:
        _run(arguments)
    except SystemExit as end:
        code = end.code
    if abrupt and (code is None or isinstance(code, int)):
        _end(code or 0)
    sys.exit(code)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
