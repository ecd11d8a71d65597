"""The subscribing connection of a bus, in a thread of its own: it takes what Redis sends at once, however busy the event loop is.

Redis ends the connection of a subscriber for which too much waits (`client-output-buffer-limit pubsub`). So what arrives waits here, within
a bound in bytes; beyond it messages are dropped and counted. The event loop handles a little of it at a time.
"""

from __future__ import annotations

import asyncio
import logging
import selectors
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, Protocol

import hiredis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

from .errors import StreamError
from .loop_watch import loop_watch
from .redis import QUIET_OPTIONS
from .redis_pools import blocking_pool

logger = logging.getLogger(__name__)

FIRST_BACKOFF, LAST_BACKOFF = 0.02, 0.5
PING_SECONDS = 5.0
SILENCE_SECONDS = 15.0
READ_BYTES = 4 * 1024 * 1024
"""Read from the socket at once: as much as the kernel keeps, for with each read the thread waits for the interpreter."""
SWITCH_SECONDS = 0.001
"""After how long the event loop gives up the interpreter's lock when the thread wants it (Python's default is 5 ms)."""
TURN, TURN_BYTES = 512, 512 * 1024
"""Replies that the event loop handles before others have a turn, and their bytes, roughly."""
MOST_WAITING_BYTES = 256 * 1024 * 1024
"""Of messages that wait for the event loop."""
STOP_SECONDS = 1.0
_DONE = object()
_MESSAGE_BYTES = 100
"""What a message takes besides its payload, roughly."""


class Message(NamedTuple):
    """What was published on a channel; with the pattern because of which it arrived."""

    pattern: bytes | None
    channel: bytes
    payload: bytes


class Hole:
    """Stands where messages were dropped. It is always the last that waits, and grows until the event loop comes to it."""

    def __init__(self) -> None:
        self.count = 0


class Owner(Protocol):
    """What the reader reports to, on the event loop."""

    def opened(self) -> None:
        """There is a connection, on which nothing was asked yet."""

    def idle(self) -> None:
        """Nothing was received for a while."""

    def received(self, replies: Iterable[Message | Hole | Exception | None]) -> Iterator[None]:
        """What Redis sent, in order: messages, errors, and None for every other answer to a command. It is taken in pieces."""

    def lost(self, error: Exception) -> None:
        """There is no connection (any more); another one will be tried."""


class BusReader:
    """The connection, opened again whenever it is lost, and what it has received."""

    def __init__(self, url: Callable[[], str], owner: Owner, most_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.dropped = 0
        """Messages for which there was no room."""
        self.host = ("", 0)
        """Whom the connection that was opened last is to."""
        self._url = url
        self._owner = owner
        self._most_bytes = most_bytes
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="bus", daemon=True)
        self._finished = asyncio.Event()
        self._ended = False
        self._inbox: deque[Any] = deque()  # of the thread: what Redis sent, and calls
        self._outbox: deque[tuple[int, bytes]] = deque()  # of the loop: numbers of connections, and commands for them; none: it ends
        self._number = 0
        self._scheduled = False
        self._taking: Iterator[None] | None = None  # what was begun of the work with what has arrived
        self._arrived_bytes = self._taken_bytes = 0  # each is counted by one side only
        self._hole: Hole | None = None
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)

    # -- on the event loop -------------------------------------------------

    def start(self) -> None:
        """Connect."""
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_SECONDS))
        self._thread.start()

    async def stop(self) -> None:
        """End the connection and the thread."""
        self._ended = True
        self._rouse()
        with suppress(TimeoutError):  # it may be connecting, which ends by itself
            async with asyncio.timeout(STOP_SECONDS):
                await self._finished.wait()

    def reconnect(self) -> None:
        """End the connection that was opened last, for another server is to be read."""
        self.send(b"")

    def send(self, commands: bytes) -> None:
        """Send commands on the connection that was opened last, if it is still there."""
        self._outbox.append((self._number, commands))
        self._rouse()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of messages that the event loop has not handled yet, roughly."""
        return self._arrived_bytes - self._taken_bytes

    def _rouse(self) -> None:
        with suppress(OSError):
            self._wake.send(b"\0")

    def _take(self) -> None:
        """Do a piece of the work with what waits."""
        if self._taking is None:
            self._taking = loop_watch.pieces(self._pieces(), "bus", "messages")
        if self._is_done(self._taking):
            self._taking = None
            self._scheduled = False  # before looking: what arrives from here on is announced anew
            if not self._inbox:
                return
            self._scheduled = True
        self._loop.call_soon(self._take)

    @staticmethod
    def _is_done(pieces: Iterator[None]) -> bool:
        try:
            return next(pieces, _DONE) is _DONE
        except Exception:
            logger.exception("messages of the bus could not be handled")
            return True

    def _pieces(self) -> Iterator[None]:
        """Handle some of what waits."""
        count, room = TURN, TURN_BYTES
        replies: list[Any] = []
        while self._inbox and count and room > 0:
            entry = self._inbox.popleft()
            if callable(entry):
                yield from self._handle(replies)
                replies = []
                entry()
                continue
            if isinstance(entry, Message):
                size = len(entry.payload) + _MESSAGE_BYTES
                self._taken_bytes += size
                room -= size
            count -= 1
            replies.append(entry)
        yield from self._handle(replies)

    def _handle(self, replies: list[Any]) -> Iterator[None]:
        if replies and not self._ended:
            yield from self._owner.received(replies)

    def _opened(self, number: int, host: tuple[str, int]) -> None:
        self._number, self.host = number, host
        if not self._ended:
            self._owner.opened()

    # -- in the thread -----------------------------------------------------

    def _run(self) -> None:
        number, backoff = 0, FIRST_BACKOFF
        while not self._ended:
            number += 1
            began = time.monotonic()
            try:
                self._serve(number)
            except Exception as error:
                if not isinstance(error, RedisError | OSError | hiredis.HiredisError | StreamError):
                    logger.exception("the connection of a bus failed")
                self._report(partial(self._owner.lost, error))
            if time.monotonic() - began > 2 * LAST_BACKOFF:
                backoff = FIRST_BACKOFF
            self._rest(backoff)
            backoff = min(backoff * 2, LAST_BACKOFF)
        for end in (self._wake, self._woken):
            end.close()
        self._report(self._finished.set)

    def _serve(self, number: int) -> None:
        """Connect, read and write until the connection is lost, or is to end."""
        pool: Any = blocking_pool(
            self._url(),
            protocol=2,
            socket_connect_timeout=3,
            socket_timeout=10,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),  # what is missed meanwhile has to be known
            **QUIET_OPTIONS,
        )
        connection = pool.make_connection()
        try:
            connection.connect()
            self._report(partial(self._opened, number, (getattr(connection, "host", ""), getattr(connection, "port", 0))))
            self._exchange(number, connection._sock)  # the client library reads one reply a call, which is too slow for bursts
        finally:
            with suppress(RedisError, OSError):
                pool.disconnect()

    def _exchange(self, number: int, sock: socket.socket) -> None:
        reader, buffer = hiredis.Reader(notEnoughData=self), bytearray(READ_BYTES)
        unanswered_since: float | None = None
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._ended:
                ready = {key.fileobj for key, _ in selector.select(0 if _has_pending(sock) else PING_SECONDS)}
                if self._woken in ready:
                    self._woken.recv(4096)
                    if self._write(number, sock) and unanswered_since is None:
                        unanswered_since = self._clock()
                if sock in ready or _has_pending(sock):
                    self._read(sock, reader, buffer)
                    unanswered_since = None
                elif not ready:
                    if unanswered_since is not None and self._clock() - unanswered_since > SILENCE_SECONDS:
                        raise RedisConnectionError("no answer to a ping")
                    self._report(self._owner.idle)

    def _write(self, number: int, sock: socket.socket) -> bool:
        """Send what waits for this connection. Whether anything was."""
        sent = False
        while self._outbox:
            meant, commands = self._outbox.popleft()
            if meant == number:
                if not commands:
                    raise RedisConnectionError("another server is the primary now")
                sock.sendall(commands)
                sent = True
        return sent

    def _read(self, sock: socket.socket, reader: hiredis.Reader, buffer: bytearray) -> None:
        count = sock.recv_into(buffer)
        if not count:
            raise RedisConnectionError("Redis has ended the connection, as it does if too much waits in it")
        reader.feed(buffer, 0, count)  # type: ignore[arg-type]  # takes any buffer
        while (reply := reader.gets()) is not self:
            self._put(reply)
        self._announce()

    def _put(self, reply: Any) -> None:
        message = _message(reply)
        if message is not None:
            self._put_message(message)
        elif isinstance(reply, Exception) and not str(reply).startswith("NOPERM"):
            raise RedisConnectionError(str(reply))
        else:
            self._inbox.append(reply if isinstance(reply, Exception) else None)

    def _put_message(self, message: Message) -> None:
        if self.waiting_bytes > (self._most_bytes if self._hole is None else self._most_bytes // 2):  # one hole rather than many
            if self._hole is None:
                self._hole = Hole()
                self._inbox.append(self._hole)
            self._hole.count += 1
            self.dropped += 1
            return
        self._hole = None
        self._arrived_bytes += len(message.payload) + _MESSAGE_BYTES
        self._inbox.append(message)

    def _report(self, call: Callable[[], None]) -> None:
        self._inbox.append(call)
        self._announce()

    def _announce(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._take)

    def _rest(self, seconds: float) -> None:
        """Wait, unless it is to end."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            deadline = time.monotonic() + seconds
            while not self._ended and (left := deadline - time.monotonic()) > 0:
                if selector.select(left):
                    self._woken.recv(4096)


def _has_pending(sock: Any) -> bool:
    """Whether TLS has decrypted more than was read."""
    return bool(hasattr(sock, "pending") and sock.pending())


def _message(reply: Any) -> Message | None:
    if not isinstance(reply, list):
        return None
    if reply[0] == b"pmessage":
        return Message(*reply[1:])
    return Message(None, *reply[1:]) if reply[0] == b"message" else None
