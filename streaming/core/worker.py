"""A background task that writes or reads what waits, step by step, and repeats steps in which Redis failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from streaming.core.errors import StreamError

logger = logging.getLogger(__name__)

FIRST_BACKOFF, LAST_BACKOFF = 0.02, 0.5


class Worker:
    """Calls `step` while something is in `waiting()`. Begins when it is first woken, on that event loop.

    What can wait for `gather_seconds` is done together, and after what was to be done at once.
    """

    def __init__(
        self,
        step: Callable[[], Awaitable[None]],
        waiting: Callable[[], Collection[object]],
        what: str = "presence",
        gather_seconds: float = 0.0,
    ) -> None:
        self._step = step
        self._gather_seconds = gather_seconds
        self._waiting = waiting
        self._what = what
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    def wake(self) -> None:
        """There may be something to do. What is added in the same turn is done in the same step."""
        self._wake.set()
        if self._task is None and not self._ended:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Do nothing any more."""
        self._ended = True
        while self._task is not None and not self._task.done():
            # Again and again: a cancellation that meets a reply of Redis can get lost in its client.
            self._task.cancel()
            await asyncio.wait([self._task], timeout=0.2)

    async def _run(self) -> None:
        backoff = 0.0
        while True:
            await self._wake.wait()
            if self._gather_seconds:
                await asyncio.sleep(self._gather_seconds)
            self._wake.clear()
            try:
                while self._waiting():
                    await self._step()
                    backoff = 0.0
            except StreamError as error:
                if not backoff:
                    logger.warning("%s; %s waits", error, self._what)
            except Exception:
                logger.exception("%s could not be stored or read and will be tried again", self._what)
            else:
                continue
            self._wake.set()
            backoff = min(2 * backoff, LAST_BACKOFF) or FIRST_BACKOFF
            await asyncio.sleep(backoff)
