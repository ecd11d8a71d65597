"""The jobs that the workers of this server process have, each with its timers."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from processes.jobs.outcomes import Lease

if TYPE_CHECKING:
    from .offers import OfferedProcess
    from .session import WorkerSession


@dataclass(slots=True, eq=False)
class HeldJob:
    """A job that a worker was given and has not ended."""

    lease: Lease
    offer: OfferedProcess
    session: WorkerSession
    acknowledged: bool = False
    started: bool = False
    """Whether that is stored."""
    starting: bool = False
    """Whether the worker has begun."""
    cancelling: str = ""
    """Why it was asked to end it."""
    written_off: bool = False
    """It did not end it in time: its slot is not free, but nothing is expected any more."""
    alive_at: float = field(default_factory=time.monotonic)
    """When the worker last spoke of it."""
    renewed_at: float = field(default_factory=time.monotonic)
    progress: tuple[int, str | None] | None = None
    """What is to be stored next."""
    progress_stored_at: float = 0.0
    log_lines: int = 0
    _timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)

    def later(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        """Call something after a while, unless it is done otherwise before."""
        if name not in self._timers:
            self._timers[name] = asyncio.get_running_loop().call_later(seconds, self._due, name, call)

    def forget(self, name: str) -> None:
        """Do not call it any more."""
        if timer := self._timers.pop(name, None):
            timer.cancel()

    def forget_all(self) -> None:
        """Of no timer."""
        for name in list(self._timers):
            self.forget(name)

    def _due(self, name: str, call: Callable[[], None]) -> None:
        self._timers.pop(name, None)
        call()


class HeldJobs:
    """All of them, by lease."""

    def __init__(self) -> None:
        self._held: dict[uuid.UUID, HeldJob] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[HeldJob]:
        return iter(list(self._held.values()))

    def get(self, lease: uuid.UUID) -> HeldJob | None:
        """The job of a lease, if a worker of this process has it."""
        return self._held.get(lease)

    def add(self, held: HeldJob) -> None:
        """A worker has it."""
        self._held[held.lease.lease] = held
        held.session.holds(held)

    def remove(self, held: HeldJob) -> None:
        """The worker has it no more; its slot is free."""
        if self._held.pop(held.lease.lease, None) is not None:
            held.forget_all()
            held.session.released(held)
