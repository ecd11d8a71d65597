"""How a server process parts from its clients before it ends: WebSockets are told to come back, some at a time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Set
from typing import Any

from .websocket_protocol import WebSocketProtocol

PER_SECOND = 100
"""Of so many WebSockets or fewer, none has to wait for longer than a second."""


async def drain(connections: Set[Any], seconds: float, is_forced: Callable[[], bool] = lambda: False) -> None:
    """Close WebSockets with 1012 at random moments of the next `seconds` (of fewer, if there are few), and HTTP once it is answered.

    `connections` are uvicorn's protocols, which leave the set as they are lost. Requests that wait for nothing but the next one are closed
    at once. Returns when all have been told, which `is_forced` hurries.
    """
    websockets = [each for each in connections if isinstance(each, WebSocketProtocol)]
    for other in set(connections) - set(websockets):
        other.shutdown()
    random.shuffle(websockets)
    within = min(seconds, len(websockets) / PER_SECOND)
    now = asyncio.get_running_loop().time
    began = now()
    for websocket, moment in zip(websockets, sorted(random.uniform(0, within) for _ in websockets), strict=True):
        wait = began + moment - now()
        if wait > 0 and not is_forced():
            await asyncio.sleep(wait)
        if websocket in connections:
            websocket.shutdown()
