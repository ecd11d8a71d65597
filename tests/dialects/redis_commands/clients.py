"""A client as channels and layers see it: what it received, on a socket whose readiness the test decides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from streaming.core.limits import OutboxLimits
from streaming.core.outbox import Outbox
from streaming.dialects.redis_commands.delivery.subscribers import Subscriber
from streaming.dialects.redis_commands.geojson.client_filters import ClientFilters
from streaming.engine.senders import AsgiFraming
from tests.core.doubles import RecordingSender

FRAMING = AsgiFraming()
LAST = "pub:last"
"""A message here only shows that all before it has been received."""


class Client:
    """One connection."""

    def __init__(self, limit: int = 1000) -> None:
        self.sender = RecordingSender()
        self.slow: list[str] = []
        self.filters = ClientFilters()
        self.subscriber = Subscriber(Outbox(self.sender, OutboxLimits(events=limit), self.slow.append), FRAMING, self.filters)

    @property
    def received(self) -> list[dict[str, Any]]:
        frames = [json.loads(frame) for frame in self.sender.told]
        return [frame for frame in frames if frame["source"] != LAST]

    @property
    def contents(self) -> list[Any]:
        return [frame["content"] for frame in self.received]


async def until(condition: Callable[[], object], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
