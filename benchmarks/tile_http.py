"""Tiles a second over HTTP from one server process, over connections that are kept open, and the processor time of each.

*bare*: an ASGI application that answers with as many bytes and nothing else, under the same server: the limit of what the others can reach.
*held*: a tile that the process has; *304*: the client has it too; *view*: the same tile through Django's request and response (of a client
that shows credentials). The clients are a process of their own. "of a core/s": requests that one
core would answer, by the processor time that the server's process used.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvloop

from streaming.server.redis_server import free_port

from .stack import processor_seconds, stack

RELIEF = Path(__file__).parents[1] / "streaming" / "demo" / "relief.tif"
CONNECTIONS = 16
SECONDS = 5.0
TILE, VECTOR = "/tiles/relief/2/2/1.png", "/tiles/layer/3/4/2.mvt"
BARE = """
import sys, uvicorn
from streaming.server.uvicorn_server import HttpProtocol, Server
body = bytes({size})
head = {{"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"image/png"), (b"content-length", b"{size}")]}}
async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            await send({{"type": (await receive())["type"] + ".complete"}})
    await send(head)
    await send({{"type": "http.response.body", "body": body}})
config = uvicorn.Config(application, port={port}, http=HttpProtocol, lifespan="off", access_log=False, log_config=None, server_header=False)
Server(config).run()
"""


class _Client(asyncio.Protocol):
    """One connection that asks again as soon as it has an answer."""

    def __init__(self, request: bytes, counter: Any) -> None:
        self._request, self._counter = request, counter
        self._head, self._missing = b"", 0

    def connection_made(self, transport: Any) -> None:
        """Ask for the first time."""
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count answers."""
        if self._missing:
            self._missing -= len(data)
        else:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._head[:end].lower()
            if head[9:12] not in (b"200", b"304"):
                raise SystemExit(self._head.decode(errors="replace"))
            self._missing = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]) - (len(self._head) - end - 4)
            self._head = b""
        if not self._missing:
            self._counter.value += 1
            self._transport.write(self._request)


async def _ask(port: int, request: bytes, counter: Any) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: _Client(request, counter), "127.0.0.1", port)
    await asyncio.Event().wait()


def _clients(port: int, request: bytes, counter: Any) -> None:
    uvloop.run(_ask(port, request, counter))


def _measure(what: str, pid: int, port: int, path: str, seconds: float, *headers: str) -> dict[str, Any]:
    request = "\r\n".join((f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *headers, "", "")).encode()
    spawning = multiprocessing.get_context("spawn")
    counter = spawning.RawValue("q")
    process = spawning.Process(target=_clients, args=(port, request, counter), daemon=True)
    process.start()
    try:
        while not counter.value:
            if not process.is_alive():
                raise SystemExit(f"{path} was not answered")
            time.sleep(0.05)
        answered, cpu, began = counter.value, processor_seconds(pid), time.perf_counter()
        time.sleep(seconds)
        answered, cpu, took = counter.value - answered, processor_seconds(pid) - cpu, time.perf_counter() - began
    finally:
        process.terminate()
        process.join()
    return {
        "answer": what,
        "tiles/s": round(answered / took),
        "CPU µs each": round(cpu / answered * 1e6, 1),
        "of a core/s": round(answered / cpu),
    }


def _bare(size: int, seconds: float) -> dict[str, Any]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", BARE.format(size=size, port=port)])
    try:
        for _ in range(200):
            time.sleep(0.05)
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).close()
                break
            except OSError:
                continue
        return _measure(f"bare, {size / 1000:.0f} kB", process.pid, port, "/", seconds)
    finally:
        process.kill()
        process.wait()


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows, as they are measured."""
    seconds = SECONDS * share
    with stack(GEOSTREAM_TILE_ROOTS=str(RELIEF.parent), GEOSTREAM_TILE_WATCH="0") as server:
        from streaming.models import Tileset

        from .tile_folders import MovingLayer

        Tileset.objects.create(name="relief", kind="raster", source=str(RELIEF))
        MovingLayer("layer", 1000, 0).add()
        for path in (TILE, VECTOR):
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=30) as answer:
                tag, size = answer.headers["ETag"], len(answer.read())
            yield _bare(size, seconds)
            yield _measure(f"held {path[-3:]}", server.pid, server.port, path, seconds)
            yield _measure(f"304 {path[-3:]}", server.pid, server.port, path, seconds, f"If-None-Match: {tag}")
            yield _measure(f"view {path[-3:]}", server.pid, server.port, path, seconds, "Authorization: Basic bm9ib2R5")
