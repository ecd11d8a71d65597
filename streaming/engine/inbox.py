"""Reads what a client sends, also while one of its messages is being handled: else nobody would notice that it has left.

A message that is handled without waiting for anything costs no task. Only when the handling of one waits, a task reads on. What comes
meanwhile waits within narrow bounds; then nothing more is read, and the client's own socket fills up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import coroutine
from typing import Any

MAX_MESSAGES, MAX_BYTES = 16, 64 * 1024
"""Messages, and their bytes, that are read while another is being handled. One message may have more bytes."""

Message = dict[str, Any]


class Inbox:
    """The messages of one WebSocket, in order. The last one is `websocket.disconnect`."""

    __slots__ = ("_bytes", "_handling", "_has_read", "_on_left", "_read", "_reading", "_receive")

    def __init__(self, receive: Callable[[], Awaitable[Message]], on_left: Callable[[], None]) -> None:
        """`on_left` is called when the client has left while a message is being handled, as soon as that is known."""
        self._receive = receive
        self._on_left = on_left
        self._read: list[Message] = []  # a few at most; an empty deque has 760 bytes
        self._bytes = 0
        self._reading: asyncio.Task[None] | None = None
        self._has_read: asyncio.Future[None] | None = None  # of who waits for that task; `asyncio.wait` has a kilobyte more
        self._handling = False

    async def next(self) -> Message:
        """The next message."""
        while not self._read:
            if self._reading is None:
                return await self._receive()
            self._has_read = asyncio.get_running_loop().create_future()
            try:
                await self._has_read
            finally:
                self._has_read = None
        message = self._read.pop(0)
        self._bytes -= _size(message)
        return message

    @coroutine
    def handle(self, work: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
        """Handle a message: await `work`, and read on while it waits."""
        try:
            awaited = work.send(None)
        except StopIteration:
            return
        self._handling = True
        self._read_on()
        try:
            while True:
                try:
                    sent = yield awaited
                except GeneratorExit:
                    work.close()
                    raise
                except BaseException as error:  # noqa: BLE001 (whatever it is, it is the handler's)
                    awaited = None  # it may have the exception, whose traceback has this frame: both would wait for a search for garbage
                    awaited = work.throw(error)
                else:
                    awaited = work.send(sent)
        except StopIteration:
            return
        finally:
            self._handling = False

    @property
    def full(self) -> bool:
        """Whether so much waits behind the message that is being handled that nothing is read: the client may have left."""
        return self._handling and self._reading is None

    def close(self) -> None:
        """Read no more."""
        if self._reading is not None:
            self._reading.cancel()

    def _read_on(self) -> None:
        if self._reading is None and len(self._read) < MAX_MESSAGES and self._bytes < MAX_BYTES:
            self._reading = asyncio.create_task(self._read_one())

    async def _read_one(self) -> None:
        try:
            message = await self._receive()
        finally:
            self._reading = None
            if self._has_read is not None and not self._has_read.done():
                self._has_read.set_result(None)
        self._read.append(message)
        self._bytes += _size(message)
        if message["type"] == "websocket.disconnect":
            self._on_left()
        elif self._handling:
            self._read_on()


def _size(message: Message) -> int:
    return len(message.get("text") or message.get("bytes") or "")
