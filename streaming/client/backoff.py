"""When to try again: exponential backoff with full jitter.

Full jitter (a delay drawn evenly from zero to the ceiling) spreads the clients of a restarted server best:
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in seconds: even in [0, initial], then [0, 2 x initial], … up to [0, maximum]; `attempts` of them, or endless.

    A connection that held for `stable` seconds is a success: the next outage starts from `initial` again.
    `random` (a number in [0, 1)) and `sleep` can be replaced, to make waiting predictable.
    """

    initial: float = 1.0
    maximum: float = 60.0
    attempts: int | None = None
    stable: float = 5.0
    random: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def ceiling(self, attempt: int) -> float:
        """The longest delay before attempt number `attempt`, counted from 0."""
        doublings = min(attempt, 64)  # beyond that a float of seconds is past every maximum
        return min(self.maximum, self.initial * 2.0**doublings)

    def exhausted(self, attempt: int) -> bool:
        """Whether attempt number `attempt`, counted from 0, is one too many."""
        return self.attempts is not None and attempt >= self.attempts

    async def wait(self, attempt: int) -> None:
        """Wait before attempt number `attempt`, counted from 0."""
        await self.sleep(self.random() * self.ceiling(attempt))
