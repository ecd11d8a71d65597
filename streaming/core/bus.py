"""The bus: messages without state, over Redis pub/sub.

A bus has one subscribing connection with a handful of patterns and any number of channels, and finds out by dictionary lookup who a
message is for: Redis slows down with the number of patterns, not with the number of messages. A thread reads it (`bus_reader`); what has
arrived is handed over in order, many at once, and once to each handler. Pub/sub delivers at most once: messages are lost while Redis is
away or if it ends the connection, and if more of them wait than may. `gaps` counts how often that may have been, and gap handlers are
called.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from time import perf_counter
from typing import Any

import hiredis
import redis.asyncio as aioredis
from redis.exceptions import RedisError

from .bus_reader import MOST_WAITING_BYTES, BusReader, Hole, Message
from .bus_subscriptions import Arrival, BusSubscriptions, Handler
from .errors import StreamError
from .redis import async_redis, redis_url
from .redis_pools import FOLLOW_SECONDS, AsyncPrimaryPool, async_blocking_pool
from .runs import PIECE_SECONDS

logger = logging.getLogger(__name__)

BATCH, BATCH_BYTES = 250, 1024 * 1024
"""Messages published in one round trip, and their bytes, roughly."""
MAX_WAITING, MAX_WAITING_BYTES = 100_000, 64 * 1024 * 1024
"""Messages that may wait to be published, and their bytes."""


__all__ = ["Arrival", "Bus", "GapHandler", "Handler"]

GapHandler = Callable[[int | None], Iterator[None] | None]
"""Called where messages are missing, with their number if it is known. It may return what is left to be done, in pieces."""

PendingPublish = tuple[bytes, bytes, asyncio.Future[int]]
"""Channel, payload, and what becomes of it."""


class Bus:
    """Publishes and receives messages without state for one process, over the Redis in use or, with a URL, over another one."""

    def __init__(
        self, url: str | None = None, *, most_waiting_bytes: int = MOST_WAITING_BYTES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`most_waiting_bytes`: of messages that have arrived while the event loop was busy; what comes beyond is dropped."""
        self.connected = False
        self.gaps = 0
        self._url = url
        self._clock = clock
        self._subscriptions = BusSubscriptions()
        self._gap_handlers: list[GapHandler] = []
        self._most_waiting_bytes = most_waiting_bytes
        self._reader: BusReader | None = None
        self._open = self._asking = False
        self._arrived: list[tuple[Handler, list[Arrival]]] = []
        self._waiting: deque[PendingPublish] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._subscribed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._publisher: aioredis.Redis | None = None
        self._refusals: set[str] = set()

    def on_pattern(self, pattern: str, handler: Handler) -> None:
        """Call `handler` with what is published on channels like `pattern`, for as long as the bus runs."""
        self._subscriptions.patterns.add(pattern.encode(), handler)
        self._ask_changes()

    def on_channel(self, channel: str, handler: Handler) -> None:
        """Call `handler` with what is published on exactly this channel, for as long as the bus runs."""
        self._subscriptions.channels.add(channel.encode(), handler)
        self._ask_changes()

    def subscribe(self, channel: str, handler: Handler) -> asyncio.Future[bool]:
        """Call `handler` with what is published on a channel, until `unsubscribe` was called as often.

        The future is True once Redis has the subscription, however long it is away before, and False if that was refused or given up;
        it may be ignored. A subscription that is there needs no Redis.
        """
        self.on_channel(channel, handler)
        return self._subscriptions.channels.confirmed(channel.encode())

    def psubscribe(self, pattern: str, handler: Handler) -> asyncio.Future[bool]:
        """The same for channels like a pattern of Redis. Text of clients must not become one: each costs Redis time with every message."""
        self.on_pattern(pattern, handler)
        return self._subscriptions.patterns.confirmed(pattern.encode())

    def unsubscribe(self, channel: str, handler: Handler) -> None:
        """Take back one `subscribe`; KeyError if there was none."""
        self._subscriptions.channels.remove(channel.encode(), handler)
        self._ask_changes()

    def punsubscribe(self, pattern: str, handler: Handler) -> None:
        """Take back one `psubscribe`; KeyError if there was none."""
        self._subscriptions.patterns.remove(pattern.encode(), handler)
        self._ask_changes()

    def on_gap(self, handler: GapHandler) -> None:
        """Call `handler` where messages may be missing: between those before and those after, once all arrive again."""
        self._gap_handlers.append(handler)

    async def start(self) -> None:
        """Subscribe. What is published from now on arrives; where Redis does not answer, once it does."""
        self._reader = BusReader(lambda: self._url or redis_url(), self, self._most_waiting_bytes, self._clock)
        self._reader.start()
        self._tasks = [asyncio.create_task(self._publish_for_ever()), asyncio.create_task(self._follow_primary())]
        with suppress(TimeoutError):
            async with asyncio.timeout(2.0):
                await self._subscribed.wait()

    async def stop(self) -> None:
        """Publish what waits, and end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while self._waiting and self.connected:
                    await asyncio.wait([self._waiting[-1][2]])
        while self._tasks:  # again and again: a cancellation that meets a reply of Redis can get lost in its client
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=0.2)
            self._tasks = [task for task in self._tasks if not task.done()]
        if self._reader is not None:
            await self._reader.stop()
        self._fail(self._waiting, StreamError("redis_unavailable", "the server is stopping"))
        self._subscriptions.give_up()
        if self._publisher is not None:
            await self._publisher.aclose()
            self._publisher = None

    # -- publishing ---------------------------------------------------------

    def publish(self, channel: str | bytes, payload: bytes) -> asyncio.Future[int]:
        """Publish a message.

        The future is how many subscribers received it, once Redis has it, or `StreamError("redis_unavailable")`; it may be ignored.
        """
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_retrieve_exception)
        if len(self._waiting) >= MAX_WAITING or self._waiting_bytes > MAX_WAITING_BYTES:
            future.set_exception(StreamError("redis_unavailable", "too much waits to be published"))
            return future
        self._waiting.append((channel if isinstance(channel, bytes) else channel.encode(), payload, future))
        self._waiting_bytes += len(payload)
        self._wake.set()
        return future

    async def _publish_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            batch = self._next()
            if not self._waiting:
                self._wake.clear()
            if batch:
                await self._publish(batch)

    def _next(self) -> list[PendingPublish]:
        batch, room = list[PendingPublish](), BATCH_BYTES
        while self._waiting and len(batch) < BATCH and room > 0:
            saying = self._waiting.popleft()
            batch.append(saying)
            room -= len(saying[1])
        self._waiting_bytes -= BATCH_BYTES - room
        return batch

    async def _publish(self, batch: list[PendingPublish]) -> None:
        pipe = self._redis().pipeline(transaction=False)
        for channel, payload, _ in batch:
            pipe.publish(channel, payload)
        try:
            replies: list[Any] = await pipe.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            self._fail(batch, StreamError("redis_unavailable", f"Redis does not answer: {error}"))
            return
        except asyncio.CancelledError:
            self._fail(batch, StreamError("redis_unavailable", "the server is stopping"))
            raise
        for (_, _, future), reply in zip(batch, replies, strict=True):
            if future.done():
                continue
            if isinstance(reply, Exception):
                future.set_exception(StreamError("redis_unavailable", f"Redis refused: {reply}"))
            else:
                future.set_result(int(reply))

    def _redis(self) -> aioredis.Redis:
        if self._url is None:
            return async_redis()
        if self._publisher is None:
            pool = async_blocking_pool(self._url, socket_connect_timeout=3, socket_timeout=10, socket_keepalive=True)
            self._publisher = aioredis.Redis.from_pool(pool)
        return self._publisher

    async def _follow_primary(self) -> None:
        """Read from whichever server is the primary, also if the old one hangs, is cut off, is a replica now or a node without our keys."""
        pool: Any = self._redis().connection_pool
        if not isinstance(pool, AsyncPrimaryPool):
            return
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            primary = await pool.follow()
            if primary is not None and self._open and self._reader is not None and self._reader.host != primary:
                self._reader.reconnect()

    @staticmethod
    def _fail(batch: Iterable[PendingPublish], error: StreamError) -> None:
        for _, _, future in batch:
            if not future.done():
                future.set_exception(error)

    # -- receiving --------------------------------------------------------

    @property
    def dropped(self) -> int:
        """Messages for which there was no room while the event loop was busy."""
        return 0 if self._reader is None else self._reader.dropped

    def opened(self) -> None:
        """A connection: have Redis send what is subscribed to."""
        self._open = True
        self._ask(self._subscriptions.commands(), ping=True)

    def idle(self) -> None:
        """Nothing was received for a while: find out whether Redis is there."""
        self._ask([], ping=True)

    def lost(self, error: Exception) -> None:
        """The connection is gone."""
        self._open = False
        self._subscriptions.lost()
        if self.connected:
            logger.warning("Redis does not answer (%s); nothing is received until it does", error)
            self.connected = False
            self.gaps += 1

    def received(self, replies: Iterable[Message | Hole | Exception | None]) -> Iterator[None]:
        """Hand over messages, those in a row that have the same handler at once; in pieces, between which others have a turn."""
        for reply in replies:
            if isinstance(reply, Message):
                for handler in self._subscriptions.handlers(reply.channel, reply.pattern):
                    self._take(handler, reply)
            elif isinstance(reply, Hole):
                yield from self._missed(reply.count)
            else:
                yield from self._answered(reply)
        yield from self._hand_over()

    def _ask_changes(self) -> None:
        """Have Redis send what is subscribed to now, once in this turn."""
        if self._open and not self._asking:
            self._asking = True
            asyncio.get_running_loop().call_soon(self._ask_now)

    def _ask_now(self) -> None:
        self._asking = False
        if self._open:
            self._ask(self._subscriptions.commands())

    def _ask(self, commands: list[tuple[Any, ...]], ping: bool = False) -> None:
        assert self._reader is not None
        if ping:
            commands.append(self._subscriptions.ping())
        if commands:
            self._reader.send(b"".join(hiredis.pack_command(command) for command in commands))

    def _answered(self, refusal: Exception | None) -> Iterator[None]:
        if refusal is not None:
            self._refused(str(refusal))
        if self._subscriptions.answered(granted=refusal is None):
            yield from self._receives_again()

    def _refused(self, reason: str) -> None:
        """Redis' access control list refuses a command. Each reason is logged once: a user that may not even ping is refused for ever."""
        if reason not in self._refusals:
            self._refusals.add(reason)
            logger.warning("Redis refuses what the bus asked for: %s", reason)

    def _receives_again(self) -> Iterator[None]:
        """Redis has answered everything that was asked."""
        if not self.connected:
            self.connected = True
            self._subscribed.set()
            if self.gaps:
                logger.warning("Redis answers again; topics receive messages")
                yield from self._call_gap_handlers(None)

    def _missed(self, count: int) -> Iterator[None]:
        logger.warning("%d messages of Redis were dropped: they came faster than they could be handled", count)
        self.gaps += 1
        yield from self._call_gap_handlers(count)

    def _call_gap_handlers(self, count: int | None) -> Iterator[None]:
        yield from self._hand_over()
        for handler in self._gap_handlers:
            try:
                yield from handler(count) or ()
            except Exception:
                logger.exception("a gap in the messages of the bus could not be handled")

    def _take(self, handler: Handler, message: Message) -> None:
        if not self._arrived or self._arrived[-1][0] != handler:
            self._arrived.append((handler, []))
        self._arrived[-1][1].append(Arrival(message.channel, message.payload))

    def _hand_over(self) -> Iterator[None]:
        arrived, self._arrived = self._arrived, []
        until = perf_counter() + PIECE_SECONDS
        for handler, arrivals in arrived:
            try:
                yield from handler(arrivals) or ()
            except Exception:
                logger.exception("messages of the bus could not be handled")
            if perf_counter() >= until:
                yield
                until = perf_counter() + PIECE_SECONDS


def _retrieve_exception(future: asyncio.Future[int]) -> None:
    """Keep asyncio from logging an exception that the caller of `publish` chose to ignore."""
    if not future.cancelled():
        future.exception()
