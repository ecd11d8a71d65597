"""A socket whose readiness the test decides, an encoder whose frames say what was to be told, a channel layer within this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from streaming.core.deliveries import Delivery


class Told(NamedTuple):
    """One delivery as it was encoded."""

    kind: str
    key: str
    cursor: str | None


class RecordingEncoder:
    """Frames are what was told; a gap comes before the frame that follows it."""

    def __init__(self) -> None:
        self.calls = 0

    def frames(self, deliveries: Sequence[Delivery], gap: int = 0) -> list[Any]:
        self.calls += 1
        told: list[Any] = [Told(delivery.kind, delivery.key, delivery.cursor) for delivery in deliveries]
        return [f"gap {gap}", *told] if gap else told


class RecordingSender:
    """Takes `budget` writes (None: any number) and keeps what it was given."""

    def __init__(self) -> None:
        self.budget: int | None = None
        self.writes: list[list[Any]] = []
        self.on_writable: Callable[[], None] = lambda: None

    @property
    def writable(self) -> bool:
        return self.budget is None or self.budget > 0

    def write(self, frames: list[Any]) -> None:
        assert self.writable, "written to a socket that is not ready"
        if self.budget is not None:
            self.budget -= 1
        self.writes.append(frames)

    def take(self, writes: int | None) -> None:
        """From now on take so many writes."""
        self.budget = writes
        if self.writable:
            self.on_writable()

    @property
    def told(self) -> list[Any]:
        """Every frame, in order."""
        return [frame for frames in self.writes for frame in frames]


class OneProcessLayer:
    """A channel layer within this process."""

    def __init__(self) -> None:
        self.groups: dict[str, set[str]] = {}
        self.inboxes: dict[str, asyncio.Queue[dict[str, Any]]] = {}

    async def new_channel(self) -> str:
        name = f"channel.{len(self.inboxes)}"
        self.inboxes[name] = asyncio.Queue()
        return name

    async def receive(self, channel: str) -> dict[str, Any]:
        return await self.inboxes[channel].get()

    async def group_add(self, group: str, channel: str) -> None:
        self.groups.setdefault(group, set()).add(channel)

    async def group_discard(self, group: str, channel: str) -> None:
        self.groups[group].discard(channel)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        for channel in self.groups.get(group, ()):
            self.inboxes[channel].put_nowait(message)

    async def flush(self) -> None:
        self.groups.clear()
