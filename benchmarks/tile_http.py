"""Tiles a second over HTTP from one server process, over connections that are kept open, and the processor time of each.

*bare*: an ASGI application that answers with as many bytes and nothing else, under the same server: the limit of what the others can reach.
*held*: a tile that the process has; *304*: the client has it too; *view*: the same tile through Django's request and response (of a client
that shows credentials). The clients are a process of their own. "of a core/s": requests that one
core would answer, by the processor time that the server's process used.

*MBTiles*: the 64 tiles of an archive, in turn, from GeoStream and, where it is installed, martin. *rendered*: tiles of a Cloud Optimized
GeoTIFF, each another one, from GeoStream and (`--titiler PYTHON`) TiTiler, which has no cache of its own.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import uvloop

from streaming.server.redis_server import free_port

from .stack import processor_seconds, stack
from .tile_peers import COLD_ZOOM, ZOOM, TileServer, archive, cloud_optimized, martin, titiler

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
    """One connection that asks for the next as soon as it has an answer."""

    def __init__(self, requests: Iterable[bytes], counter: Any) -> None:
        self._requests, self._counter = cycle(requests), counter
        self._head, self._missing = b"", 0

    def connection_made(self, transport: Any) -> None:
        """Ask for the first time."""
        self._transport = transport
        transport.write(next(self._requests))

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
                print(self._head.decode(errors="replace"), file=sys.stderr, flush=True)
                os._exit(1)  # the loop would go on after an exception
            self._missing = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]) - (len(self._head) - end - 4)
            self._head = b""
        if not self._missing:
            self._counter.value += 1
            self._transport.write(next(self._requests))


async def _ask(port: int, requests: Sequence[bytes], counter: Any) -> None:
    loop = asyncio.get_running_loop()
    for number in range(CONNECTIONS):
        own = requests[number::CONNECTIONS] or requests
        await loop.create_connection(partial(_Client, own, counter), "127.0.0.1", port)
    await asyncio.Event().wait()


def _clients(port: int, requests: Sequence[bytes], counter: Any) -> None:
    uvloop.run(_ask(port, requests, counter))


def _measure(what: str, pid: int, port: int, paths: Sequence[str], seconds: float, *headers: str) -> dict[str, Any]:
    requests = ["\r\n".join((f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *headers, "", "")).encode() for path in paths]
    spawning = multiprocessing.get_context("spawn")
    counter = spawning.RawValue("q")
    process = spawning.Process(target=_clients, args=(port, requests, counter), daemon=True)
    process.start()
    try:
        while not counter.value:
            if not process.is_alive():
                raise SystemExit(f"{paths[0]} was not answered")
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
        return _measure(f"bare, {size / 1000:.0f} kB", process.pid, port, ["/"], seconds)
    finally:
        process.kill()
        process.wait()


def _archived(template: str) -> list[str]:
    return [template.format(z=ZOOM, x=x, y=y) for x in range(2**ZOOM) for y in range(2**ZOOM)]


def _cold(template: str) -> list[str]:
    """Different tiles in any order, but the same for everybody."""
    tiles = [(x, y) for x in range(2**COLD_ZOOM) for y in range(2 ** (COLD_ZOOM - 2), 2**COLD_ZOOM - 2 ** (COLD_ZOOM - 2))]
    Random(1).shuffle(tiles)
    return [template.format(z=COLD_ZOOM, x=x, y=y) for x, y in tiles]


def _beside_peers(port: int, pid: int, folder: Path, titiler_python: str | None, seconds: float) -> Iterator[dict[str, Any]]:
    from streaming.models import Tileset

    mbtiles, tif = folder / "peers.mbtiles", folder / "peers.tif"
    archive(RELIEF, mbtiles)
    cloud_optimized(RELIEF, tif)
    Tileset.objects.create(name="archive", kind="mbtiles", source=str(mbtiles))
    Tileset.objects.create(name="cog", kind="raster", source=str(tif), max_zoom=COLD_ZOOM)
    with martin(mbtiles) as peer:
        ours = TileServer("GeoStream", pid, port, "/tiles/archive/{z}/{x}/{y}.png")
        for each in filter(None, (ours, peer)):
            yield _measure(f"MBTiles, {each.name}", each.pid, each.port, _archived(each.path), seconds)
    with titiler(titiler_python, tif) as peer:
        ours = TileServer("GeoStream", pid, port, "/tiles/cog/{z}/{x}/{y}.png")
        for each in filter(None, (ours, peer)):
            yield _measure(f"rendered, {each.name}", each.pid, each.port, _cold(each.path), seconds)


def run(share: float, titiler_python: str | None = None) -> Iterator[dict[str, Any]]:
    """All rows, as they are measured. `titiler_python`: a Python that has TiTiler."""
    seconds = SECONDS * share
    with tempfile.TemporaryDirectory(prefix="geostream-bench-") as folder:
        yield from _held(seconds)
        roots = f"{RELIEF.parent},{folder}"
        with stack(GEOSTREAM_TILE_ROOTS=roots, GEOSTREAM_TILE_WATCH="0") as server:
            yield from _beside_peers(server.port, server.pid, Path(folder), titiler_python, seconds)


def _held(seconds: float) -> Iterator[dict[str, Any]]:
    with stack(GEOSTREAM_TILE_ROOTS=str(RELIEF.parent), GEOSTREAM_TILE_WATCH="0") as server:
        from streaming.models import Tileset

        from .tile_folders import MovingLayer

        Tileset.objects.create(name="relief", kind="raster", source=str(RELIEF))
        MovingLayer("layer", 1000, 0).add()
        for path in (TILE, VECTOR):
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=30) as answer:
                tag, size = answer.headers["ETag"], len(answer.read())
            yield _bare(size, seconds)
            yield _measure(f"held {path[-3:]}", server.pid, server.port, [path], seconds)
            yield _measure(f"304 {path[-3:]}", server.pid, server.port, [path], seconds, f"If-None-Match: {tag}")
            yield _measure(f"view {path[-3:]}", server.pid, server.port, [path], seconds, "Authorization: Basic bm9ib2R5")
