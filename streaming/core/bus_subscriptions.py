"""The subscriptions of a bus: channels, patterns and their handlers, and which of them Redis has confirmed. There is no I/O here.

Redis answers commands in their order, which is how each answer, a refusal too, finds whom it is for. A message that matches several names
of one handler is handed to it once: Redis repeats it for all of them in a row, and always in the same order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

Confirmations = list["asyncio.Future[bool]"]


class Arrival(NamedTuple):
    """One message: the channel it was published on, and its bytes."""

    channel: bytes
    payload: bytes


Handler = Callable[[list[Arrival]], Iterator[None] | None]
"""Takes messages that have arrived. It may return what is left to be done, in pieces: nothing else arrives before that is done."""


class Names:
    """Channels or patterns: who listens to each, counted, and what Redis was asked for."""

    def __init__(self, subscribe: str, unsubscribe: str) -> None:
        self._subscribe = subscribe
        self._unsubscribe = unsubscribe
        self.handlers: dict[bytes, dict[Handler, int]] = {}
        self._changed: dict[bytes, None] = {}
        self._asked: set[bytes] = set()
        self._live: set[bytes] = set()
        self._waiting: dict[bytes, Confirmations] = {}

    def add(self, name: bytes, handler: Handler) -> None:
        """One more subscription of a handler."""
        handlers = self.handlers.setdefault(name, {})
        handlers[handler] = handlers.get(handler, 0) + 1
        self._changed[name] = None

    def remove(self, name: bytes, handler: Handler) -> None:
        """One subscription less; KeyError if there was none."""
        handlers = self.handlers[name]
        handlers[handler] -= 1
        if not handlers[handler]:
            del handlers[handler]
        if not handlers:
            del self.handlers[name]
            self._changed[name] = None
            _settle(self._waiting.get(name, []), False)

    def confirmed(self, name: bytes) -> asyncio.Future[bool]:
        """True once Redis has it, False if it never will: refused, or given up before."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if name in self._live:
            future.set_result(True)
        else:
            self._waiting.setdefault(name, []).append(future)
        return future

    def commands(self) -> Iterator[tuple[str, bytes, Confirmations]]:
        """What Redis has to be asked for now, and who waits for the answer."""
        changed, self._changed = self._changed, {}
        for name in changed:
            if name in self.handlers and name not in self._asked:
                self._asked.add(name)
                yield self._subscribe, name, self._waiting.setdefault(name, [])
            elif name not in self.handlers:
                self._waiting.pop(name, None)
                self._live.discard(name)
                if name in self._asked:
                    self._asked.discard(name)
                    yield self._unsubscribe, name, []

    def answered(self, name: bytes, waiting: Confirmations, granted: bool) -> None:
        """Redis answered a command; an answer to any but the last command for this name means nothing."""
        if self._waiting.get(name) is waiting:  # nobody may be left in it
            del self._waiting[name]
            if granted:
                self._live.add(name)
            _settle(waiting, granted)

    def lost(self) -> None:
        """The connection is gone: all has to be asked for again."""
        self._asked.clear()
        self._live.clear()
        self._changed.update(dict.fromkeys(self.handlers))

    def give_up(self) -> None:
        """Nobody waits any more."""
        while self._waiting:
            _settle(self._waiting.popitem()[1], False)


def _settle(waiting: Confirmations, granted: bool) -> None:
    while waiting:
        future = waiting.pop()
        if not future.done():
            future.set_result(granted)


class BusSubscriptions:
    """The channels and patterns of one subscribing connection, and its answers."""

    def __init__(self) -> None:
        self.channels = Names("SUBSCRIBE", "UNSUBSCRIBE")
        self.patterns = Names("PSUBSCRIBE", "PUNSUBSCRIBE")
        self._unanswered: deque[tuple[Names, bytes, Confirmations] | None] = deque()
        self._channel: bytes | None = None
        self._matched: set[bytes] = set()
        self._delivered_to: set[Handler] = set()

    def commands(self) -> list[tuple[Any, ...]]:
        """What has to be sent now, each name in a command of its own: one that Redis refuses takes no other with it."""
        commands: list[tuple[Any, ...]] = []
        for names in (self.patterns, self.channels):
            for command, name, waiting in names.commands():
                self._unanswered.append((names, name, waiting))
                commands.append((command, name))
        return commands

    def ping(self) -> tuple[Any, ...]:
        """A command whose answer shows that all before were answered."""
        self._unanswered.append(None)
        return ("PING",)

    def answered(self, granted: bool) -> bool:
        """Redis answered one command. Whether it was a ping."""
        self._channel = None
        asked = self._unanswered.popleft() if self._unanswered else None
        if asked is None:
            return True
        names, name, waiting = asked
        names.answered(name, waiting, granted)
        return False

    def handlers(self, channel: bytes, pattern: bytes | None) -> Iterable[Handler]:
        """The handlers of a message that arrived on a channel, because of its name or of a pattern: those that have not received it yet."""
        if pattern is None:
            found = self.channels.handlers.get(channel, {})
            self._channel, self._matched, self._delivered_to = channel, set(), set(found)
            return found
        found = self.patterns.handlers.get(pattern, {})
        if channel != self._channel or pattern in self._matched:
            self._channel, self._matched, self._delivered_to = channel, {pattern}, set(found)
            return found
        others = [handler for handler in found if handler not in self._delivered_to]
        self._matched.add(pattern)
        self._delivered_to.update(others)
        return others

    def lost(self) -> None:
        """The connection is gone."""
        self._unanswered.clear()
        self._channel = None
        self.channels.lost()
        self.patterns.lost()

    def give_up(self) -> None:
        """Nobody waits any more."""
        self.channels.give_up()
        self.patterns.give_up()
