"""A queue and an event for thousands of connections, each of which has one reader and hardly ever anything in them.

`asyncio.Queue` and `asyncio.Event` keep five deques and an event between them: four kilobytes for each connection, empty.
"""

from __future__ import annotations

from asyncio import Future, get_running_loop
from typing import Any


class Mailbox:
    """What `asyncio.Queue` is used for here: any number may put, one task at a time gets."""

    __slots__ = ("_messages", "_reader")

    def __init__(self) -> None:
        self._messages: list[Any] = []
        self._reader: Future[None] | None = None

    def empty(self) -> bool:
        """Whether there is nothing in it."""
        return not self._messages

    def qsize(self) -> int:
        """How many messages are in it."""
        return len(self._messages)

    def put_nowait(self, message: Any) -> None:
        """Put a message behind the others."""
        self._messages.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def get_nowait(self) -> Any:
        """Take the first message; IndexError if there is none."""
        return self._messages.pop(0)

    async def get(self) -> Any:
        """Take the first message, as soon as there is one."""
        while not self._messages:
            self._reader = get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._messages.pop(0)


class Gate:
    """What `asyncio.Event` is used for here: open at first, and whoever comes while it is shut waits."""

    __slots__ = ("_open", "_waiting")

    def __init__(self) -> None:
        self._open = True
        self._waiting: tuple[Future[None], ...] = ()

    def is_set(self) -> bool:
        """Whether it is open."""
        return self._open

    def set(self) -> None:
        """Open it."""
        self._open = True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting = ()

    def clear(self) -> None:
        """Shut it."""
        self._open = False

    async def wait(self) -> None:
        """Return once it is open, or was for a moment."""
        if self._open:
            return
        waiting: Future[None] = get_running_loop().create_future()
        self._waiting += (waiting,)
        try:
            await waiting
        finally:
            self._waiting = tuple(other for other in self._waiting if other is not waiting)
