"""The servers whose Redis commands are measured: GeoStream's, and redis_websocket_api, the original, where a Python has it.

One at a time, each a fresh process with a fresh Redis. The original follows the same channels, and has the commands for boxes and
projections.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis

from streaming.server.embedded_redis import start_redis
from streaming.server.redis_server import free_port

from .stack import Server, stack

GEOSTREAM, ORIGINAL = "GeoStream", "redis_websocket_api"
START_SECONDS = 20.0
_SERVE = """
import sys
import aioredis
from redis_websocket_api import WebsocketHandler, WebsocketServer
from redis_websocket_api.geo_protocol import GeoCommandsMixin
class Handler(GeoCommandsMixin, WebsocketHandler):
    allowed_commands = "SUB", "DEL", "PING", "GET", "BBOX", "PROJECTION"
    def channel_is_allowed(self, channel_name):
        return channel_name.startswith("pub:")
port, redis_url = sys.argv[1:]
redis = aioredis.from_url(redis_url, encoding="utf-8", decode_responses=True)
WebsocketServer(redis=redis, handler_class=Handler).listen("127.0.0.1", int(port), channel_patterns=["pub:*"])
"""


def contenders(original: str | None) -> Sequence[str]:
    """Who is measured. `original` is a Python that has redis_websocket_api and what it needs."""
    if original is None:
        return (GEOSTREAM,)
    probe = "import aioredis, redis_websocket_api.geo_protocol"
    if subprocess.run([original, "-c", probe], stderr=subprocess.DEVNULL).returncode:
        raise SystemExit(f"{original} cannot import redis_websocket_api and aioredis")
    return (GEOSTREAM, ORIGINAL)


@contextmanager
def serving(name: str, original: str | None) -> Iterator[Server]:
    """A running server."""
    if name == ORIGINAL and original is not None:
        with _original(original) as server:
            yield server
    else:
        with stack() as server:
            yield server


@contextmanager
def _original(python: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="geostream-bench-") as folder, start_redis(Path(folder) / "redis") as embedded:
        port = free_port()
        arguments = [python, "-c", _SERVE, str(port), embedded.url]
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # it logs each client that hangs up
        try:
            _wait(embedded.url, process)
            yield Server(process.pid, port, embedded.url, Path(folder))
        finally:
            process.kill()
            process.wait(20)


def _wait(redis_url: str, process: subprocess.Popen[bytes]) -> None:
    """Until it follows its channels, which it does after it listens."""
    patience = time.monotonic() + START_SECONDS
    with redis.Redis.from_url(redis_url) as client:
        while process.poll() is None and time.monotonic() < patience:
            if client.pubsub_numpat():
                return
            time.sleep(0.05)
    raise SystemExit(f"{ORIGINAL} did not start")
