"""The bus: messages without state, over Redis pub/sub.

A bus has one subscribing connection with a handful of patterns and any number of channels, and finds out by dictionary lookup who a
message is for: Redis slows down with the number of patterns, not with the number of messages. What arrives in one turn of the loop is
handed over at once, in order, and once to each handler. Pub/sub delivers at most once: while Redis is away messages are lost, and `gaps`
counts how often that may have been.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import redis.asyncio as aioredis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, RedisError

from .bus_subscriptions import Arrival, BusSubscriptions, Handler
from .errors import StreamError
from .redis import QUIET_OPTIONS, async_redis, redis_url

logger = logging.getLogger(__name__)

FIRST_BACKOFF, LAST_BACKOFF = 0.02, 0.5
PING_SECONDS = 5.0
SILENCE_SECONDS = 15.0
TURN = 512
"""Messages read before others have a turn."""
BATCH, BATCH_BYTES = 250, 1024 * 1024
"""Messages published in one round trip, and their bytes, roughly."""
MAX_WAITING, MAX_WAITING_BYTES = 100_000, 64 * 1024 * 1024
"""Messages that may wait to be published, and their bytes."""


__all__ = ["Arrival", "Bus", "Handler"]

PendingPublish = tuple[bytes, bytes, asyncio.Future[int]]
"""Channel, payload, and what becomes of it."""


class Bus:
    """Publishes and receives messages without state for one process, over the Redis in use or, with a URL, over another one."""

    def __init__(self, url: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.connected = False
        self.gaps = 0
        self._url = url
        self._clock = clock
        self._subscriptions = BusSubscriptions()
        self._changed = asyncio.Event()
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
        self._changed.set()

    def on_channel(self, channel: str, handler: Handler) -> None:
        """Call `handler` with what is published on exactly this channel, for as long as the bus runs."""
        self._subscriptions.channels.add(channel.encode(), handler)
        self._changed.set()

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
        self._changed.set()

    def punsubscribe(self, pattern: str, handler: Handler) -> None:
        """Take back one `psubscribe`; KeyError if there was none."""
        self._subscriptions.patterns.remove(pattern.encode(), handler)
        self._changed.set()

    async def start(self) -> None:
        """Subscribe. What is published from now on arrives; where Redis does not answer, once it does."""
        self._tasks = [asyncio.create_task(self._listen_for_ever()), asyncio.create_task(self._publish_for_ever())]
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
            self._publisher = aioredis.Redis.from_url(self._url, socket_connect_timeout=3, socket_timeout=10, socket_keepalive=True)
        return self._publisher

    @staticmethod
    def _fail(batch: Iterable[PendingPublish], error: StreamError) -> None:
        for _, _, future in batch:
            if not future.done():
                future.set_exception(error)

    # -- receiving --------------------------------------------------------

    async def _listen_for_ever(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                if self.connected:
                    logger.warning("Redis does not answer (%s); nothing is received until it does", error)
                    self.connected = False
                    self.gaps += 1
                    backoff = FIRST_BACKOFF
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, LAST_BACKOFF)

    async def _listen(self) -> None:
        # A client of its own that never tries again by itself: what is missed meanwhile has to be known.
        client = aioredis.Redis.from_url(
            self._url or redis_url(),
            socket_connect_timeout=3,
            socket_timeout=None,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
            **QUIET_OPTIONS,
        )
        try:
            async with client, client.pubsub() as pubsub:
                await pubsub.connect()
                asking = asyncio.create_task(self._ask_for_ever(pubsub.connection))
                try:
                    await self._read(pubsub, pubsub.connection, asking)
                finally:
                    asking.cancel()
                    await asyncio.gather(asking, return_exceptions=True)
        finally:
            self._subscriptions.lost()
            with suppress(RedisError, OSError):
                await client.connection_pool.disconnect()

    async def _ask_for_ever(self, connection: Any) -> None:
        """Have Redis send what is listened to, now and whenever that changes."""
        commands = [*self._subscriptions.commands(), self._subscriptions.ping()]
        while True:
            self._changed.clear()
            if commands:
                await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            await self._changed.wait()
            commands = self._subscriptions.commands()

    async def _read(self, pubsub: PubSub, connection: Any, asking: asyncio.Task[None]) -> None:
        received_at, count = self._clock(), 0
        while not asking.done():
            try:
                message: Any = await pubsub.get_message(timeout=PING_SECONDS)
            except NoPermissionError as error:
                self._refused(str(error))
                message = {"type": "refused"}
            if message is None:
                if self._clock() - received_at > SILENCE_SECONDS:
                    raise RedisConnectionError("no answer to a ping")
                await connection.send_command(*self._subscriptions.ping(), check_health=False)
                continue
            received_at = self._clock()
            self._received(message)
            count += 1
            if count % TURN == 0:
                await asyncio.sleep(0)
        asking.result()

    def _received(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "pmessage" or kind == "message":
            for handler in self._subscriptions.handlers(message["channel"], message["pattern"]):
                self._take(handler, message)
        elif self._subscriptions.answered(granted=kind != "refused"):
            self._answers()

    def _refused(self, reason: str) -> None:
        """Redis' access control list refuses a command. Each reason is logged once: a user that may not even ping is refused for ever."""
        if reason not in self._refusals:
            self._refusals.add(reason)
            logger.warning("Redis refuses what the bus asked for: %s", reason)

    def _answers(self) -> None:
        if self.gaps and not self.connected:
            logger.warning("Redis answers again; topics receive messages")
        self.connected = True
        self._subscribed.set()

    def _take(self, handler: Handler, message: dict[str, Any]) -> None:
        if not self._arrived:
            asyncio.get_running_loop().call_soon(self._hand_over)
        if not self._arrived or self._arrived[-1][0] != handler:
            self._arrived.append((handler, []))
        self._arrived[-1][1].append(Arrival(message["channel"], message["data"]))

    def _hand_over(self) -> None:
        arrived, self._arrived = self._arrived, []
        for handler, arrivals in arrived:
            try:
                handler(arrivals)
            except Exception:
                logger.exception("messages of the bus could not be handled")


def _retrieve_exception(future: asyncio.Future[int]) -> None:
    """Keep asyncio from logging an exception that the caller of `publish` chose to ignore."""
    if not future.cancelled():
        future.exception()
