"""An outbox: everything one connection still has to be sent.
While the socket takes what it is given, deliveries go straight through, encoded once for all who share them. While it does not,
they wait in their view's queue, bounded by what is in view, and a publisher never waits for anybody. A connection over its bounds
for too long is given up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .deliveries import Bulk, Delivery, Encoder, Frames, Source
from .limits import OutboxLimits
from .view import View


class Sender(Protocol):
    """The way to one socket. `write` may be called while `writable`; `on_writable` is called when it becomes so again."""

    on_writable: Callable[[], None]

    @property
    def writable(self) -> bool:
        """Whether the socket takes more now."""

    def write(self, frames: list[Any]) -> None:
        """Hand over finished frames, in one piece where the server can."""


class Outbox:
    """One connection's queue of sources, in order."""

    __slots__ = ("_over_since", "_sources", "_stalled_since", "limits", "on_slow", "sender", "sent")

    def __init__(self, sender: Sender, limits: OutboxLimits, on_slow: Callable[[str], None]) -> None:
        self.sender = sender
        self.limits = limits
        self.on_slow = on_slow
        self.sent = 0
        self._sources: deque[Source] = deque()
        self._over_since: float | None = None
        self._stalled_since: float | None = None
        sender.on_writable = self.drain

    @property
    def messages(self) -> int:
        """How many messages wait."""
        return sum(len(source) for source in self._sources)

    @property
    def bytes(self) -> int:
        """How many bytes wait, roughly."""
        return sum(source.size for source in self._sources)

    @property
    def idle(self) -> bool:
        """Whether what is sent now goes straight to the socket."""
        return not self._sources and self.sender.writable

    def deliver(self, view: View, run: Sequence[Delivery], shared: dict[Encoder, Any]) -> None:
        """Send a view's client what happened in one turn, now or when the socket takes it."""
        if not self._sources and self.sender.writable and not view.queue.gap:
            frames = shared.get(view.encoder)
            if frames is None:
                frames = shared[view.encoder] = view.encoder.frames(run)
            self.sent += len(run)
            self.sender.write(frames)
            return
        self._wait(view, run)
        if self.sender.writable:
            self.drain()

    def put(self, source: Source) -> None:
        """Queue a source behind what waits."""
        self._sources.append(source)
        if self.sender.writable:
            self.drain()

    def send(self, *frames: Any) -> None:
        """Send finished frames behind what waits."""
        if not self._sources and self.sender.writable:
            self.sent += len(frames)
            self.sender.write(list(frames))
        else:
            self.put(Frames(list(frames)))

    def forget(self, owner: object) -> None:
        """Drop what waits for a view that is gone."""
        self._sources = deque(source for source in self._sources if source.owner is not owner)

    def drain(self) -> None:
        """Write what waits for as long as the socket takes it."""
        self._stalled_since = None
        while self._sources and self.sender.writable:
            source = self._sources[0]
            before = len(source)
            frames = source.take(self.limits.write_bytes)
            if not len(source):
                self._sources.popleft()
            self.sent += before - len(source)
            if frames:
                self.sender.write(frames)

    def check(self, now: float) -> None:
        """Give up on a connection that was over its bounds, or did not take anything, for too long. Called about once a second."""
        if not self._sources:
            self._over_since = self._stalled_since = None
            return
        self._check_stalled(now)
        self._check_bounds(now)

    def _check_stalled(self, now: float) -> None:
        if self.sender.writable:
            self._stalled_since = None
        elif self._stalled_since is None:
            self._stalled_since = now
        elif now - self._stalled_since > self.limits.stalled_seconds:
            self.on_slow("the client took nothing for too long")

    def _check_bounds(self, now: float) -> None:
        # Of a bulk only pointers wait: a large layer does not make its reader slow.
        messages = sum(len(source) for source in self._sources if not isinstance(source, Bulk))
        excess = max(messages / self.limits.messages, self.bytes / self.limits.bytes)
        if excess <= 1:
            self._over_since = None
        elif excess > 4:
            self.on_slow("far too much is waiting for this client")
        elif self._over_since is None:
            self._over_since = now
        elif now - self._over_since > self.limits.slow_seconds:
            self.on_slow("too much was waiting for this client for too long")

    def _wait(self, view: View, run: Sequence[Delivery]) -> None:
        queue = view.queue
        was_waiting = bool(len(queue))
        queue.push(run)
        if len(queue) and not was_waiting:
            self._sources.append(queue)
        elif was_waiting and not len(queue):
            self._sources.remove(queue)
