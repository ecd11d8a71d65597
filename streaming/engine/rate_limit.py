"""Limits how fast one client's messages are handled."""

from __future__ import annotations

import asyncio
import time

from .conf import conf

BYTES_PER_MESSAGE = 16 * 1024
"""So many bytes of a long message count as one more against the rate limit."""


class MessageRate:
    """A leaky bucket that makes one client wait: `GEOSTREAM_MESSAGES_PER_SECOND` and `GEOSTREAM_MESSAGES_BURST`."""

    def __init__(self) -> None:
        self._rate, self._burst = conf.MESSAGES_PER_SECOND, conf.MESSAGES_BURST
        self._allowed_at = 0.0  # when the next message would be due at the steady rate

    async def wait(self, size: int) -> None:
        """Take one message of `size` bytes; returns when it may be handled."""
        now = time.monotonic()
        self._allowed_at = max(self._allowed_at, now - self._burst / self._rate) + (1 + size / BYTES_PER_MESSAGE) / self._rate
        if self._allowed_at > now:
            await asyncio.sleep(self._allowed_at - now)
