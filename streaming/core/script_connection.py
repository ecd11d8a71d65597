"""One connection to Redis for the scripts of an event loop, which are sent one after the other without waiting for answers.

The client library takes three times as long for a command as Redis does. Here it is packed and written, and its answer is the next one that
comes. Whatever does not go smoothly is left to the client library, which finds servers, tries again and explains: without a connection, and
where it is lost or Redis refuses, there is no answer here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

import hiredis
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from .redis_pools import FOLLOW_SECONDS, AsyncPrimaryPool, async_blocking_pool

logger = logging.getLogger(__name__)

UNANSWERED = object()
"""Stands for an answer that did not come. What was asked may have been done."""
ANSWER_SECONDS = 10.0
REST_SECONDS = 1.0
"""From one attempt to connect to the next."""
_ELSEWHERE = ("READONLY", "MOVED", "ASK")
"""How refusals begin of a server that is not, or no more, the one to ask."""


class ScriptConnection:
    """Connects when it is first asked, and again whenever the connection was lost. Of one event loop."""

    def __init__(self, url: Callable[[], str], **options: Any) -> None:
        """`options` are those of the client library's connections."""
        self._url = url
        self._options = options
        self._exchange: _Exchange | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._rests_until = 0.0
        self._pool: Any = None
        self._following: asyncio.Task[None] | None = None

    async def call(self, *command: Any) -> Any:
        """What Redis answers, or `UNANSWERED`. `redis.exceptions.TimeoutError` if it takes too long."""
        exchange = self._exchange
        if exchange is None or exchange.ended:
            self._connect_soon()
            return UNANSWERED
        answer = await exchange.ask(hiredis.pack_command(command))
        if isinstance(answer, hiredis.ReplyError):
            if str(answer).startswith(_ELSEWHERE):
                exchange.abort()
            return UNANSWERED
        return answer

    async def close(self) -> None:
        """End the connection."""
        self._rests_until = float("inf")
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        if self._exchange is not None:
            await self._exchange.close()
        if self._pool is not None:
            await self._pool.disconnect()

    def _connect_soon(self) -> None:
        if monotonic() >= self._rests_until:
            self._rests_until = monotonic() + REST_SECONDS
            self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        with suppress(RedisError, OSError):  # whoever asked finds out why
            if self._pool is None:
                self._pool = async_blocking_pool(self._url(), **self._options)
            connection = self._pool.make_connection()
            await connection.connect()
            self._exchange = _Exchange(connection)
            if isinstance(self._pool, AsyncPrimaryPool):
                self._following = asyncio.create_task(self._follow(self._exchange))

    async def _follow(self, exchange: _Exchange) -> None:
        """Leave a server that is not the primary any more. One that hangs says nothing of it, and one that is cut off goes on answering."""
        while not exchange.ended:
            await asyncio.sleep(FOLLOW_SECONDS)
            with suppress(RedisError, OSError):
                if await self._pool.get_master_address() != exchange.server:
                    exchange.abort()
                    self._rests_until = 0.0


class _Exchange(asyncio.Protocol):
    """A connection of the client library, once it is open. Answers come in the order of the commands."""

    def __init__(self, connection: Any) -> None:
        self.ended = False
        self.server = getattr(connection, "host", ""), getattr(connection, "port", 0)
        self._connection = connection
        self._transport = connection._writer.transport
        self._streams = self._transport.get_protocol()
        self._transport.set_protocol(self)
        self._reader = hiredis.Reader(notEnoughData=UNANSWERED)
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._watch: asyncio.TimerHandle | None = None

    def ask(self, command: bytes) -> asyncio.Future[Any]:
        """Send a command; the future is its answer."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((future, monotonic()))
        if self._watch is None:
            self._watch = loop.call_later(ANSWER_SECONDS, self._look)
        self._transport.write(command)
        return future

    def data_received(self, data: bytes) -> None:
        """Answers, or parts of them."""
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not UNANSWERED:
                future, _ = self._waiting.popleft()
                if not future.done():
                    future.set_result(answer)
        except (hiredis.ProtocolError, IndexError):
            logger.warning("Redis has sent what is no answer")
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody answers any more."""
        self._end()
        self._streams.connection_lost(exc)
        self._connection._close()

    def abort(self) -> None:
        """End the connection at once."""
        self._end()
        self._transport.abort()

    async def close(self) -> None:
        """End the connection."""
        self._end()
        with suppress(RedisError, OSError):
            await self._connection.disconnect()

    def _end(self, error: Exception | None = None) -> None:
        self.ended = True
        if self._watch is not None:
            self._watch.cancel()
        while self._waiting:
            future, _ = self._waiting.popleft()
            if future.done():
                continue
            if error is None:
                future.set_result(UNANSWERED)
            else:
                future.set_exception(error)

    def _look(self) -> None:
        """Whether the oldest command has waited for too long."""
        self._watch = None
        if not self._waiting:
            return
        left = self._waiting[0][1] + ANSWER_SECONDS - monotonic()
        if left > 0:
            self._watch = asyncio.get_running_loop().call_later(left, self._look)
            return
        self._end(RedisTimeoutError("no answer to a script"))
        self._transport.abort()
