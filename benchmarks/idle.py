"""A server process while nothing happens: what it takes of a core, and makes Redis take, all its timers together.
There are a layer and a tileset of it. *none*: nobody is connected. *sockets*: so many WebSockets are open, and answer pings.
*subscribers*: they have subscribed to the layer, in which nothing changes.

"wake-ups/s": how often threads of the server began to run after they had waited. "Redis CPU %": beyond what a Redis without any
client takes, which is measured beside it. "Redis commands/s": all that it was asked.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import redis

from streaming.server.embedded_redis import start_redis

from .http import Poster
from .phoenix import settle
from .stack import Server, stack
from .swarm import Subscriber, everything, masked

SECONDS = 60.0
REST_SECONDS = 40.0
"""Between the last thing that happened and the measuring."""
SOCKETS = 100
LAYER = "idle"
PING, PONG = b"\x89\x00", masked(b"", 0x8A)


class Client(Subscriber):
    """One WebSocket that asks for nothing or for a layer, and is alive."""

    def data_received(self, data: bytes) -> None:
        """Answer pings; what else comes is not looked at."""
        if self._upgraded and data == PING:
            self.transport.write(PONG)
        else:
            super().data_received(data)


@dataclass
class Clock:
    """What a process and its Redis have used so far."""

    cpu: float
    wakeups: int
    redis_cpu: float
    redis_commands: int
    bare_cpu: float

    @classmethod
    def read(cls, server: Server, used: redis.Redis, bare: redis.Redis) -> Clock:
        """As it is now."""
        return cls(server.cpu, _wakeups(server.pid), _cpu(used), _commands(used), _cpu(bare))


def _wakeups(pid: int) -> int:
    """Of all threads: each time that one waited for something, it was woken once."""
    states = "".join(thread.read_text() for thread in Path(f"/proc/{pid}/task").glob("*/status"))
    return sum(int(line.split()[1]) for line in states.splitlines() if line.startswith("voluntary_ctxt_switches"))


def _cpu(client: redis.Redis) -> float:
    info: Any = client.info("cpu")
    return float(info["used_cpu_sys"] + info["used_cpu_user"])


def _commands(client: redis.Redis) -> int:
    info: Any = client.info("stats")
    return int(info["total_commands_processed"])


async def _prepare(server: Server) -> None:
    poster = await Poster(server.port, f"/api/layers/{LAYER}/features", server.token()).open()
    feature = {"type": "Feature", "id": "a", "geometry": {"type": "Point", "coordinates": [7, 47]}, "properties": {}}
    await poster.post(json.dumps(feature).encode())
    await poster.close()
    await asyncio.to_thread(_make_tileset)


def _make_tileset() -> None:
    from streaming.models import Tileset

    Tileset.objects.create(name=LAYER, kind="layer", source=LAYER, public=True)


async def _measure(server: Server, clients: str, make: Callable[[], Subscriber], count: int, seconds: float, bare: str) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    made = [(await loop.create_connection(make, "127.0.0.1", server.port))[1] for _ in range(count)]
    await asyncio.to_thread(settle, server)
    await asyncio.sleep(REST_SECONDS)
    with redis.Redis.from_url(server.redis_url) as used, redis.Redis.from_url(bare) as beside:
        before = Clock.read(server, used, beside)
        await asyncio.sleep(seconds)
        after = Clock.read(server, used, beside)
    lost = sum(client.transport.is_closing() for client in made)
    for client in made:
        client.transport.abort()
    redis_cpu = after.redis_cpu - before.redis_cpu - (after.bare_cpu - before.bare_cpu)
    return {
        "clients": clients,
        "server CPU %": round((after.cpu - before.cpu) / seconds * 100, 2),
        "wake-ups/s": round((after.wakeups - before.wakeups) / seconds, 1),
        "Redis CPU %": round(redis_cpu / seconds * 100, 2),
        "Redis commands/s": round((after.redis_commands - before.redis_commands) / seconds, 1),
        "lost": lost,
    }


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows, as they are measured."""
    seconds = SECONDS * max(share, 0.3)
    kinds = (
        ("none", partial(Client, {"type": "ping", "id": 1}, None), 0),
        (f"{SOCKETS} sockets", partial(Client, {"type": "ping", "id": 1}, None), SOCKETS),
        (f"{SOCKETS} subscribers", partial(Client, everything(LAYER), None), SOCKETS),
    )
    with stack() as server, tempfile.TemporaryDirectory(prefix="geostream-bench-") as folder, start_redis(Path(folder)) as bare:
        asyncio.run(_prepare(server))
        for clients, make, count in kinds:
            yield asyncio.run(_measure(server, clients, make, count, seconds, bare.url))
