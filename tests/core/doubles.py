"""A socket whose readiness the test decides, and an encoder whose frames say what was to be told."""

from __future__ import annotations

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
