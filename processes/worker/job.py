"""A job, as the function that does it sees it."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any, Literal, Protocol

from .errors import JobCancelled

Level = Literal["debug", "info", "warning", "error"]


class JobReports(Protocol):
    """Where what a function says of its job goes. Called from the function's thread; what is given is sent in order."""

    def progress(self, percent: int, message: str | None) -> None:
        """How far it is."""

    def log(self, level: Level, text: str) -> None:
        """A line of its log."""

    def partial(self, output: str, value: Any) -> None:
        """A part of an output."""

    def checkpoint(self, data: Any) -> None:
        """Where it may go on."""


class Silence:
    """Reports that nobody reads."""

    def progress(self, percent: int, message: str | None) -> None:
        """Nothing."""

    def log(self, level: Level, text: str) -> None:
        """Nothing."""

    def partial(self, output: str, value: Any) -> None:
        """Nothing."""

    def checkpoint(self, data: Any) -> None:
        """Nothing."""


class Job:
    """One execution. Its methods may be called from any thread; those that report raise `JobCancelled` when it is not wanted any more."""

    def __init__(
        self,
        id: str = "",
        *,
        process: str = "",
        attempt: int = 1,
        user: str | None = None,
        deadline: datetime | None = None,
        last_checkpoint: Any = None,
        reports: JobReports | None = None,
    ) -> None:
        self.id = id
        self.process = process
        self.attempt = attempt
        """1, unless a worker was lost that had begun it."""
        self.user = user
        """The subject: the server's id of the user whose job it is; None for an anonymous client."""
        self.deadline = deadline
        self.last_checkpoint = last_checkpoint
        """What the attempt before this one has given to `checkpoint` last."""
        self._reports: JobReports = reports or Silence()
        self._cancelled = threading.Event()
        self._reason = "dismissed"

    @property
    def cancelled(self) -> bool:
        """Whether it is not wanted any more."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raise `JobCancelled` if it is not wanted any more."""
        if self._cancelled.is_set():
            raise JobCancelled(self._reason)

    def sleep(self, seconds: float) -> None:
        """Wait (in a function that is not async); raises `JobCancelled` as soon as it is not wanted any more."""
        self._cancelled.wait(seconds)
        self.check()

    def progress(self, percent: float, message: str | None = None) -> None:
        """How far it is, from 0 to 100. May be called often: what is too much is not sent."""
        self.check()
        self._reports.progress(max(0, min(100, int(percent))), message)

    def log(self, level: Level, text: str) -> None:
        """A line of its log."""
        self.check()
        self._reports.log(level, text)

    def partial(self, output: str, value: Any) -> None:
        """A part of an output that clients can read before the end, in the order of the calls."""
        self.check()
        self._reports.partial(output, value)

    def checkpoint(self, data: Any) -> None:
        """Where another worker may go on, should this one be lost: it finds `data`, which is JSON, as its `last_checkpoint`."""
        self.check()
        self._reports.checkpoint(data)

    def cancel(self, reason: str = "dismissed") -> None:
        """It is not wanted any more."""
        self._reason = reason
        self._cancelled.set()
