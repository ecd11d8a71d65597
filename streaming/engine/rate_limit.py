"""Limits how fast one client's messages are handled."""

from __future__ import annotations

import asyncio
import time

from .conf import conf


class MessageRate:
    """A leaky bucket that makes one client wait: `GEOSTREAM_MESSAGES_PER_SECOND`, `…BYTES_PER_SECOND` and `…MESSAGES_BURST`.

    Nothing is refused: what is not read fills the client's own socket.
    """

    __slots__ = ("_ahead", "_allowed_at", "_seconds_per_byte", "_seconds_per_message")

    def __init__(self) -> None:
        self._seconds_per_message, self._seconds_per_byte = 1 / conf.MESSAGES_PER_SECOND, 1 / conf.BYTES_PER_SECOND
        self._ahead = conf.MESSAGES_BURST / conf.MESSAGES_PER_SECOND
        self._allowed_at = 0.0  # when the next message would be due at the steady rate

    async def wait(self, size: int) -> bool:
        """Take one message of `size` bytes; returns when it may be handled, and whether that was later."""
        now = time.monotonic()
        self._allowed_at = max(self._allowed_at, now - self._ahead) + self._seconds_per_message + size * self._seconds_per_byte
        if self._allowed_at <= now:
            return False
        await asyncio.sleep(self._allowed_at - now)
        return True
