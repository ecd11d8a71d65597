"""Doorbells: "feed X has come to number N", heard by every process that follows the feed, with what was logged if that is little.

Whoever changes a feed rings in the same step of Redis (`scripts.RING`), on a channel of the feed's own. A ring may be lost: hubs look once
a second anyway. What it brings may be taken instead of reading the log if it begins at exactly the place where a follower is: the same
epoch, the same number and the same stamp, which is a random text of the write that came there. Two histories that have come to the same
number, after a Redis lost the end of its log, have different ones. Whatever does not fit is read from the log, which is the truth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgpack

from .bus import Bus
from .bus_subscriptions import Arrival
from .feed import Feed, LogEntry

MOST_WAITING_BYTES = 16 * 1024 * 1024
"""Of rings that have arrived while the event loop was busy. Others are lost."""
SUBSCRIBE_SECONDS = 1.0
"""How long whoever begins to follow a feed waits for its doorbell. After that it is followed, and looked at once a second."""


class Ring(NamedTuple):
    """What was heard: a feed has gone from one number and stamp to another. `lines` is what was logged, empty if it has to be read."""

    epoch: str
    first: int
    before: bytes
    seq: int
    stamp: bytes
    lines: list[list[bytes]]

    def entries(self) -> Iterator[LogEntry]:
        """The lines of the log."""
        for seq, (key, new, old, reason) in enumerate(self.lines, self.first + 1):
            yield LogEntry(seq, key.decode(), old or None, new or None, reason.decode() or None)


UNKNOWN = Ring("", 0, b"", 0, b"", [])
"""Anything may have happened."""
Heard = Callable[[str, Ring], None]


class Doorbells:
    """Hears the doorbells of the feeds that a hub follows, on a connection of its own."""

    def __init__(self, heard: Heard, missed: Callable[[], None]) -> None:
        """`heard` is called with the name of the feed, `missed` where rings of any feed may be missing."""
        self._heard = heard
        self._bus = Bus(most_waiting_bytes=MOST_WAITING_BYTES)
        self._bus.on_gap(lambda count: missed())
        self._feeds: dict[bytes, str] = {}

    async def start(self) -> None:
        """Connect."""
        await self._bus.start()

    async def stop(self) -> None:
        """End the connection."""
        await self._bus.stop()

    async def listen(self, feed: Feed) -> None:
        """From now on the feed is heard; where Redis does not answer, once it does."""
        self._feeds[feed.meta_key.encode()] = feed.name
        subscribed = self._bus.subscribe(feed.meta_key, self._arrived)
        if self._bus.connected:
            await asyncio.wait([subscribed], timeout=SUBSCRIBE_SECONDS)

    def ignore(self, feed: Feed) -> None:
        """The feed is not heard any more."""
        del self._feeds[feed.meta_key.encode()]
        self._bus.unsubscribe(feed.meta_key, self._arrived)

    def _arrived(self, arrivals: list[Arrival]) -> None:
        for channel, payload in arrivals:
            feed = self._feeds.get(channel)
            if feed is not None:
                self._heard(feed, parse_ring(payload))


def parse_ring(payload: bytes) -> Ring:
    """What a script has published. Of anything else (anybody who may publish in Redis may have) nothing is believed: the log is read."""
    if not payload:
        return UNKNOWN
    try:
        epoch, first, before, seq, stamp, lines = msgpack.unpackb(payload, raw=True)
        ring = Ring(epoch.decode(), first, before, seq, stamp, lines or [])
    except (ValueError, TypeError, AttributeError, msgpack.UnpackException):
        return UNKNOWN
    return ring if type(first) is type(seq) is int else UNKNOWN
