"""Doorbells: "feed X is at number N", sent to every process over the Channels layer.
They carry no data and may be lost: hubs look once a second anyway. Ringing never blocks and never fails for the caller: rings are
coalesced (only the highest number of each feed waits) and sent by one task, on the hub's event loop or, in processes without a
hub, on a loop in a thread of its own.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError
from hashlib import sha1
from typing import Any, Protocol

logger = logging.getLogger(__name__)


class Layer(Protocol):
    """What is needed of a Channels layer."""

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send a message to a group."""


def feed_group(feed: str) -> str:
    """The channel-layer group of a feed (group names allow only ASCII letters, digits, hyphens, underscores and periods)."""
    name = "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):x}_" for c in feed)
    if len(name) > 70:
        name = f"{name[:50]}.{sha1(feed.encode(), usedforsecurity=False).hexdigest()[:19]}"
    return "geostream.feed." + name


class Doorbell:
    """Coalesces and sends rings. `local` is called at once, without the detour over Redis."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, int] = {}
        self._sending = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._last: Future[None] | None = None
        self._get_layer: Callable[[], Layer] | None = None
        self._local: Callable[[str, int], None] | None = None

    def configure(self, get_layer: Callable[[], Layer]) -> None:
        """Set the function that returns the channel layer; it is called on the sending loop."""
        self._get_layer = get_layer

    def attach(self, loop: asyncio.AbstractEventLoop, local: Callable[[str, int], None]) -> None:
        """A hub runs in this process: send from its loop, and notify it first."""
        with self._lock:
            self._loop, self._local, self._sending = loop, local, False

    def detach(self) -> Future[None] | None:
        """The hub stops. What is being sent on its loop is returned, to be waited for: it would open connections that nobody closes."""
        with self._lock:
            sending = self._last if self._sending else None
            self._loop, self._local, self._sending = None, None, False
        return sending

    def ring(self, feed: str, seq: int) -> None:
        """Announce that a feed has reached a number. From any thread."""
        with self._lock:
            self._waiting[feed] = max(seq, self._waiting.get(feed, 0))
            if self._sending:
                return
            self._sending = True
            loop = self._loop or self._background_loop()
            self._last = asyncio.run_coroutine_threadsafe(self._send(), loop)

    def flush(self, timeout: float = 2.0) -> None:
        """Wait until what was rung has left (at the end of a command)."""
        if self._last is not None and self._loop is None:
            try:
                self._last.result(timeout)
            except TimeoutError:
                logger.warning("the last doorbell could not be sent; subscribers notice within a second")

    def _background_loop(self) -> asyncio.AbstractEventLoop:
        if self._own_loop is None:
            self._own_loop = asyncio.new_event_loop()
            threading.Thread(target=self._own_loop.run_forever, name="geostream-doorbell", daemon=True).start()
            atexit.register(self.flush)
        return self._own_loop

    async def _send(self) -> None:
        while True:
            with self._lock:
                rings, self._waiting = self._waiting, {}
                if not rings:
                    self._sending = False
                    return
            for feed, seq in rings.items():
                if self._local is not None:
                    self._local(feed, seq)
                await self._send_one(feed, seq)

    async def _send_one(self, feed: str, seq: int) -> None:
        if self._get_layer is None:
            return
        try:
            await self._get_layer().group_send(feed_group(feed), {"type": "feed.changed", "feed": feed, "seq": seq})
        except Exception as error:  # noqa: BLE001 (a lost doorbell costs a second, whatever the layer raised)
            logger.debug("doorbell of %s lost: %s", feed, error)


doorbell = Doorbell()
ring = doorbell.ring
