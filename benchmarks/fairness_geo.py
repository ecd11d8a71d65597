"""Clients of the geo protocol that ask for much: situations of `fairness`.

"flights s", "tile s": when the page received the first feature of a small layer, and the first tile, after it had asked for a large layer
and then for these.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import urllib.request
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from .fairness import Situation
from .stack import Server
from .tile_folders import WORLD, ZOOM, noise

LARGE, MIDDLE, MOVING = 100_000, 50_000, 2_000
CLIENTS, SUBSCRIPTIONS = 4, 20
FILTERING, FILTERS, LIKES = 3, 100, 20
CHANGES_A_SECOND = 100
PAN_SECONDS = 0.2
TILE_BYTES = 4 << 20


# -- what there is ------------------------------------------------------------


def prepare_large(server: Server) -> None:
    """A large layer."""
    _publish("large", LARGE)


def prepare_middle(server: Server) -> None:
    """A layer of middling size."""
    _publish("middle", MIDDLE)


def prepare_moving(server: Server) -> None:
    """A layer that moves."""
    _publish("moving", MOVING)


def prepare_page(server: Server) -> None:
    """What a page shows."""
    _publish("large", LARGE)
    _publish("flights", 20)
    noise(server.folder).add()


def prepare_large_tile(server: Server) -> None:
    """One large tile."""
    from streaming.models import Tileset
    from streaming.tiles.grid import Tile

    from .tile_folders import write

    folder = server.folder / "tiles" / "heavy"
    write(folder, Tile(0, 0, 0), np.random.default_rng(1).bytes(TILE_BYTES))
    Tileset.objects.create(name="heavy", kind="directory", source=str(folder), min_zoom=0, max_zoom=0)


def _publish(layer: str, count: int) -> None:
    from streaming import publish

    random.seed(1)
    for start in range(0, count, 10_000):
        publish(layer, [_feature(number) for number in range(start, min(start + 10_000, count))])


def _feature(number: int) -> dict[str, Any]:
    place = [random.uniform(-170, 170), random.uniform(-80, 80)]
    properties = {"name": f"vehicle {number} of the large layer", "heading": random.randrange(360), "speed": random.random()}
    return {"type": "Feature", "id": number, "geometry": {"type": "Point", "coordinates": place}, "properties": properties}


# -- loads --------------------------------------------------------------------


async def page(server: Server, seconds: float) -> dict[str, Any]:
    """Ask for everything at once, again and again; the first answers count."""
    first: dict[str, list[float]] = {"flights": [], "tiles": []}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        async with connect(f"ws://127.0.0.1:{server.port}/ws", max_size=None) as socket:
            began = time.monotonic()
            await socket.send(_features("large", "large"))
            await socket.send(_features("flights", "flights"))
            await socket.send(_tiles("noise", ZOOM))
            seen: dict[str, float] = {}
            count = 0
            while count < LARGE or len(seen) < 3:
                message = await socket.recv(decode=False)
                if b'"type":"ack"' in message[:40]:
                    continue
                name = next(name for name in ("flights", "tiles", "large") if b'"subscription_id":"%b"' % name.encode() in message[:80])
                count += name == "large"
                seen.setdefault(name, time.monotonic() - began)
            for name, found in first.items():
                found.append(seen[name])
    return {"flights s": round(max(first["flights"]), 2), "tile s": round(max(first["tiles"]), 2)}


async def unread(server: Server, seconds: float) -> dict[str, Any]:
    """Subscribe and read nothing."""
    sockets = [await _open(server) for _ in range(CLIENTS)]
    for number in range(SUBSCRIPTIONS):
        for socket in sockets:
            await socket.send(_features(f"s{number}", "middle", bbox=[-170 + number / 10, -80, 170, 80]))
    await asyncio.sleep(seconds)
    for socket in sockets:
        socket.transport.abort()
    return {}


async def many_filters(server: Server, seconds: float) -> dict[str, Any]:
    """Subscribe with costly filters while features change."""
    sockets = [await _open(server) for _ in range(FILTERING)]
    drains = [asyncio.create_task(_drain(socket)) for socket in sockets]
    for number in range(FILTERS):
        for client, socket in enumerate(sockets):
            likes = " OR ".join(f"name LIKE '%{client}x{number}y{like}%'" for like in range(LIKES))
            await socket.send(_features(f"s{number}", "moving", filter=likes))
    await _change(server, "moving", seconds)
    for drain in drains:
        drain.cancel()
    return {}


async def large_filter(server: Server, seconds: float) -> dict[str, Any]:
    """Subscribe with a filter that is as large as it may be, again and again, while features change."""
    condition = " OR ".join(f"(a{number} = 1 AND b{number} = 2)" for number in range(240))
    sockets = [await _open(server) for _ in range(FILTERING)]
    drains = [asyncio.create_task(_drain(socket)) for socket in sockets]
    for client, socket in enumerate(sockets):
        for number in range(3):
            await socket.send(_features(f"s{number}", "moving", filter=f"speed < {client}{number} AND ({condition})"))
    await _change(server, "moving", seconds)
    for drain in drains:
        drain.cancel()
    return {}


async def pan(server: Server, seconds: float) -> dict[str, Any]:
    """Look at other parts of a large layer, five times a second."""
    sockets = [await _open(server) for _ in range(CLIENTS)]
    drains = [asyncio.create_task(_drain(socket)) for socket in sockets]
    for socket in sockets:
        await socket.send(_features("s", "large", bbox=[0, 0, 20, 20]))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for socket in sockets:
            west, south = random.uniform(-170, 150), random.uniform(-80, 60)
            move = {"type": "update_subscription", "subscription_id": "s", "bbox": [west, south, west + 20, south + 20]}
            await socket.send(json.dumps(move))
        await asyncio.sleep(PAN_SECONDS)
    for drain in drains:
        drain.cancel()
    return {}


async def list_tiles(server: Server, seconds: float) -> dict[str, Any]:
    """Ask for a large tile in the way that takes most, again and again, each time under another id."""
    sockets = [await _open(server) for _ in range(CLIENTS)]
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        number += 1
        for client, socket in enumerate(sockets):
            await socket.send(_tiles("heavy", 0, id=f"tiles{client}-{number}", data_encoding="list"))
        for socket in sockets:
            while b'"type":"tile_data"' not in (await socket.recv(decode=False))[:40]:
                pass
    return {"tiles": number * CLIENTS}


async def _open(server: Server) -> ClientConnection:
    return await connect(f"ws://127.0.0.1:{server.port}/ws", max_size=None, max_queue=2)


async def _drain(socket: ClientConnection) -> None:
    while True:
        await socket.recv(decode=False)


async def _change(server: Server, layer: str, seconds: float) -> None:
    """Some features of a layer move ten times a second."""
    token = await asyncio.to_thread(server.token)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        body = json.dumps(
            {"type": "FeatureCollection", "features": [_feature(random.randrange(MOVING)) for _ in range(CHANGES_A_SECOND // 10)]}
        )
        await asyncio.to_thread(_post, server, f"/api/layers/{layer}/features", body.encode(), token)
        await asyncio.sleep(max(0.0, 0.1 - (time.monotonic() - began)))


def _post(server: Server, path: str, body: bytes, token: str) -> None:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", body, headers), timeout=60) as answer:
        answer.read()


def _features(id: str, layer: str, **conditions: Any) -> str:
    return json.dumps({"type": "subscribe_features", "subscription_id": id, "layer": layer, **conditions})


def _tiles(tileset: str, zoom: int, id: str = "tiles", **options: Any) -> str:
    zooms = {"start": zoom, "end": zoom + 1}
    return json.dumps({"type": "subscribe_tiles", "subscription_id": id, "bbox": WORLD, "zoom_range": zooms, "tileset": tileset, **options})


SITUATIONS = [
    Situation("/ws: a page with a layer of 100,000 points, flights and tiles", page, prepare_page),
    Situation("/ws: 4 clients, 20 unread snapshots of a layer of 50,000 each", unread, prepare_middle),
    Situation("/ws: 3 clients, 100 CQL2 filters of 20 LIKEs each on a live layer", many_filters, prepare_moving),
    Situation("/ws: a CQL2 filter of 1,700 nodes on a live layer, and its snapshot", large_filter, prepare_moving),
    Situation("/ws: 4 clients that pan over 100,000 points and resume", pan, prepare_large),
    Situation("/ws: a tile of 4 MiB as a list of numbers, to 4 clients", list_tiles, prepare_large_tile),
]
"""Rows 6 to 8 of what was found to stop the event loop, and what is like them."""
