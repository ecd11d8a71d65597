"""How much a worker may send: messages and bytes a second. What is given to it to do, it may answer besides."""

from __future__ import annotations

import time

from streaming.engine.rate_limit import MessageRate

BURST_SECONDS = 2.0


class Allowance:
    """A bucket of messages and one of bytes; both hold what two seconds bring."""

    def __init__(self, messages: float, size: float) -> None:
        self._rates = (messages, size)
        self._left = [messages * BURST_SECONDS, size * BURST_SECONDS]
        self._at = time.monotonic()
        self.refused = 0
        """Messages in a row."""

    def take(self, size: int) -> bool:
        """Whether a message of so many bytes may be handled."""
        now = time.monotonic()
        passed, self._at = now - self._at, now
        for index, rate in enumerate(self._rates):
            self._left[index] = max(self._left[index], min(self._left[index] + passed * rate, rate * BURST_SECONDS))
        if self._left[0] < 1 or self._left[1] <= 0:
            self.refused += 1
            return False
        self._left[0] -= 1
        self._left[1] -= size
        self.refused = 0
        return True

    def grant(self, messages: int, size: int) -> None:
        """It was given something to do, and may say so much about it."""
        self._left[0] += messages
        self._left[1] += size

    @property
    def flooding(self) -> bool:
        """Whether it goes on although it is refused."""
        return self.refused > self._rates[0] * BURST_SECONDS


class NotSlowed(MessageRate):
    """Messages are handled as they come: a worker is refused instead, so that its heartbeats never wait behind its other messages."""

    async def wait(self, size: int) -> bool:
        """Do not wait."""
        return False
