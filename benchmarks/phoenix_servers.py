"""The servers whose topics are measured: GeoStream's, and Tangram's where it is installed.

One at a time, each a fresh process with a fresh Redis, started alike: a server that only waits would take part of the machine, and
hear what is published to the other.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from streaming.server.embedded_redis import start_redis
from streaming.server.redis_server import free_port

from .stack import Server, stack, wait_for_port

SECRET = "a secret of this benchmark only, of 32 bytes or more"
"""Of the tokens that both are shown."""
GEOSTREAM, TANGRAM = "GeoStream", "Tangram"
_SERVE = """
import asyncio, sys
from tangram_core._core import ChannelConfig, run
async def main():
    host, port, redis_url, secret = sys.argv[1:]
    await run(ChannelConfig(host, int(port), redis_url, secret, 3600, 8))
asyncio.run(main())
"""


def contenders(tangram: str | None) -> Sequence[str]:
    """Who is measured. `tangram` is a Python that has `tangram_core`."""
    found = subprocess.run([tangram or sys.executable, "-c", "import tangram_core._core"], stderr=subprocess.DEVNULL).returncode == 0
    if tangram and not found:
        raise SystemExit(f"{tangram} has no tangram_core")
    return (GEOSTREAM, TANGRAM) if found else (GEOSTREAM,)


@contextmanager
def serving(name: str, tangram: str | None) -> Iterator[Server]:
    """A running server that takes tokens made with `SECRET`."""
    if name == TANGRAM:
        with _tangram(tangram or sys.executable) as server:
            yield server
    else:  # its sockets send no heartbeats here: they would be part of what is measured
        with stack(GEOSTREAM_JWT_SECRET=SECRET, GEOSTREAM_PHOENIX_IDLE_SECONDS="0") as server:
            yield server


@contextmanager
def _tangram(python: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="geostream-bench-") as folder, start_redis(Path(folder) / "redis") as redis:
        port = free_port()
        arguments = [python, "-c", _SERVE, "127.0.0.1", str(port), redis.url, SECRET]
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
        try:
            wait_for_port(port, process, "Tangram")
            yield Server(process.pid, port, redis.url, Path(folder))
        finally:
            process.kill()  # on SIGTERM it waits for its clients
            process.wait(20)
