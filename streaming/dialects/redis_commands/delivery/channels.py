"""Channels: who of this process listens to which channels of Redis, and how everybody there is told.

What is published is parsed once, projected and encoded once per CRS, framed once for all who are told the same, and told once to each,
however many names and patterns of a client it matches. What is no JSON is counted and skipped: it costs nobody the connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence

from streaming.core.bus import Arrival, Bus
from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.redis_data.names import ANYBODY, Glob, Readable

from ..geojson.client_filters import BadValue, Value
from .messages import Message, Turn
from .subscriber_index import Audience
from .subscribers import Listener

logger = logging.getLogger(__name__)

MAX_MATCHED = 10_000
"""Names whose patterns are remembered."""

GlobFor = tuple[str, frozenset[str]]
"""A pattern, and what those are granted who share it."""


class Channels:
    """Every listener of this process."""

    def __init__(self, bus: Bus, readable: Readable) -> None:
        self.readable = readable
        self.listeners: dict[Listener, None] = {}
        self.said = 0
        """Messages that somebody may have wanted ..."""
        self.bad = 0
        """... and those of them that were no JSON."""
        self._past_delivered = self._past_dropped = self._past_conflated = 0
        self._bus = bus
        self._names: dict[str, Audience] = {}
        self._granted: dict[Listener, frozenset[str]] = {}
        self._globs: dict[GlobFor, tuple[Glob, Audience]] = {}
        self._matched: dict[str, list[Audience]] = {}

    @property
    def delivered(self) -> int:
        """Messages told, times those who were told."""
        return self._past_delivered + sum(listener.delivered for listener in self.listeners)

    @property
    def dropped(self) -> int:
        """Messages that slow listeners missed."""
        return self._past_dropped + sum(listener.dropped for listener in self.listeners)

    @property
    def conflated(self) -> int:
        """Messages that a newer one of the same feature took the place of while they waited."""
        return self._past_conflated + sum(listener.conflated for listener in self.listeners)

    # -- who may read what -------------------------------------------------

    def allows(self, listener: Listener, name: str) -> bool:
        """Whether it may read a name."""
        return self.readable.allows(name, self._granted_to(listener))

    def grant(self, listener: Listener, granted: frozenset[str]) -> None:
        """From now on it has this of what names need. Of what it may not read any more it is not told."""
        if granted == self._granted_to(listener):
            return
        for glob in listener.patterns:
            self._leave(listener, glob)
        self._granted[listener] = granted
        for glob, reference in listener.patterns.items():
            self._join(listener, glob, reference)
        for name in [name for name in listener.channels if not self.allows(listener, name)]:
            self.unsubscribe(listener, name)

    def _granted_to(self, listener: Listener) -> frozenset[str]:
        return self._granted.get(listener, ANYBODY)

    # -- who listens to what -----------------------------------------------

    def subscribe(self, listener: Listener, name: str, reference: str | None = None) -> asyncio.Future[list[bool]]:
        """From now on it is told what is published on a channel, with the reference it gave last.

        The future ends once Redis has the subscription, or refused it, however long Redis is away; it may be ignored. `StreamError`:
        forbidden, too_many_subscriptions.
        """
        if not self.allows(listener, name):
            raise StreamError("forbidden", "this name may not be read")
        known = name in listener.channels
        self.admit(listener, known)
        listener.channels[name] = reference
        self._names.setdefault(name, Audience()).add(listener, reference)
        heard = self._bus.listen(name, self._arrived)
        if known:
            self._bus.unlisten(name, self._arrived)
        return asyncio.gather(*[heard])

    def unsubscribe(self, listener: Listener, name: str) -> None:
        """It is not told any more; nothing if it was not."""
        if name not in listener.channels:
            return
        del listener.channels[name]
        audience = self._names[name]
        audience.remove(listener)
        if not len(audience):
            del self._names[name]
        self._bus.unlisten(name, self._arrived)

    def psubscribe(self, listener: Listener, glob: str, reference: str | None = None) -> asyncio.Future[list[bool]]:
        """The same for all readable channels like a pattern. `StreamError`: bad_request, too_many_subscriptions."""
        known = glob in listener.patterns
        _check_room(len(listener.patterns) - known, conf.REDIS_PATTERNS)
        self.listeners[listener] = None
        self._join(listener, glob, reference)
        listener.patterns[glob] = reference
        heard = self._follow_readable()
        if known:
            self._leave_readable()
        return heard

    def punsubscribe(self, listener: Listener, glob: str) -> None:
        """It is not told any more; nothing if it was not."""
        if glob not in listener.patterns:
            return
        del listener.patterns[glob]
        self._leave(listener, glob)
        self._leave_readable()

    def admit(self, listener: Listener, known: bool) -> None:
        """It is about to listen to one channel or layer more, or to one that it knows. `StreamError("too_many_subscriptions")`."""
        _check_room(len(listener.channels) + len(listener.layers) - known, conf.REDIS_SUBSCRIPTIONS)
        self.listeners[listener] = None

    def moved(self, listener: Listener) -> None:
        """Its filters changed."""
        listener.revision += 1
        for audience in list(listener.audiences):
            audience.moved(listener)

    def clear(self, listener: Listener) -> None:
        """It listens to nothing; what waits for it is told."""
        for name in list(listener.channels):
            self.unsubscribe(listener, name)
        for glob in list(listener.patterns):
            self.punsubscribe(listener, glob)

    def remove(self, listener: Listener) -> None:
        """It is gone."""
        self.clear(listener)
        listener.stop()
        self._granted.pop(listener, None)
        if listener in self.listeners:
            del self.listeners[listener]
            self._past_delivered += listener.delivered
            self._past_dropped += listener.dropped
            self._past_conflated += listener.conflated

    def _join(self, listener: Listener, glob: str, reference: str | None) -> None:
        key = glob, self._granted_to(listener)
        if key not in self._globs:
            self._globs[key] = Glob(glob), Audience()
            self._matched.clear()
        self._globs[key][1].add(listener, reference)

    def _leave(self, listener: Listener, glob: str) -> None:
        key = glob, self._granted_to(listener)
        audience = self._globs[key][1]
        audience.remove(listener)
        if not len(audience):
            del self._globs[key]
            self._matched.clear()

    def _follow_readable(self) -> asyncio.Future[list[bool]]:
        heard = [self._bus.plisten(pattern, self._arrived) for pattern in self.readable.patterns]
        heard += [self._bus.listen(name, self._arrived) for name in self.readable.exact]
        return asyncio.gather(*heard)

    def _leave_readable(self) -> None:
        for pattern in self.readable.patterns:
            self._bus.punlisten(pattern, self._arrived)
        for name in self.readable.exact:
            self._bus.unlisten(name, self._arrived)

    # -- what is published -------------------------------------------------

    def _arrived(self, arrivals: Sequence[Arrival]) -> None:
        turn = Turn()
        for arrival in arrivals:
            try:
                self._sort(arrival, turn)
            except Exception:
                logger.exception("a message of Redis could not be told")
        turn.deliver()

    def _sort(self, arrival: Arrival, turn: Turn) -> None:
        try:
            name = arrival.channel.decode()
        except UnicodeDecodeError:
            return
        audiences = self._audiences(name)
        if not audiences:
            return
        self.said += 1
        try:
            turn.add(Message(name, Value(arrival.payload)), audiences)
        except BadValue:
            self.bad += 1

    def _audiences(self, name: str) -> list[Audience]:
        """Of the channel itself, and of the patterns that it is like."""
        audience = self._names.get(name)
        matched = self._matching(name) if self._globs else []
        return matched if audience is None else [audience, *matched]

    def _matching(self, name: str) -> list[Audience]:
        matched = self._matched.get(name)
        if matched is None:
            if len(self._matched) >= MAX_MATCHED:
                self._matched.clear()
            matched = self._matched[name] = list(self._sharing(name))
        return matched

    def _sharing(self, name: str) -> Iterator[Audience]:
        need = self.readable.need(name)
        if need is not None:
            for (_, granted), (glob, audience) in self._globs.items():
                if need <= granted and glob.matches(name):
                    yield audience


def _check_room(count: int, most: int) -> None:
    if count >= most:
        raise StreamError("too_many_subscriptions", f"a client may have {most} of these")
