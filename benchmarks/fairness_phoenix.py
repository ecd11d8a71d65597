"""Situations of Phoenix clients: `python -m benchmarks fairness`."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from websockets.asyncio.client import connect

from .fairness import Situation
from .stack import Server

CLIENTS = 3
JOINS_PER_SECOND = 3
BRANCH = "[" * 100 + "]" * 100
"""Nested as deeply as is allowed, about: what takes longest to read."""
HOSTILE = "[" + ",".join([BRANCH] * 2388) + "]"
"""480 kB."""


async def hostile_joins(server: Server, seconds: float) -> dict[str, Any]:
    """Clients that join with 480 kB of nested arrays, three times a second each, and push as much on a topic that they have joined."""
    async with asyncio.TaskGroup() as clients:
        tasks = [clients.create_task(_join(server, seconds)) for _ in range(CLIENTS)]
    return {"answers": sum(task.result() for task in tasks)}


async def _join(server: Server, seconds: float) -> int:
    answers = 0
    async with connect(f"ws://127.0.0.1:{server.port}/websocket?vsn=2.0.0", max_size=None) as socket:
        await socket.send('["0","0","layer:l","phx_join",{}]')
        await socket.recv()
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            await socket.send(f'["1","1","room:1","phx_join",{{"a":{HOSTILE}}}]')
            await socket.send(f'["0","2","layer:l","update",{HOSTILE}]')
            for _ in range(2):
                json.loads(await socket.recv())
                answers += 1
            await asyncio.sleep(max(0.0, now + 1 / JOINS_PER_SECOND - time.monotonic()))
    return answers


def _prepare(server: Server) -> None:
    from streaming import publish

    publish("l", [])


SITUATIONS = [
    Situation("Phoenix: joins and pushes of 480 kB of nested arrays", hostile_joins, _prepare, {"GEOSTREAM_MESSAGES_PER_SECOND": "100"})
]
