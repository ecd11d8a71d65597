"""Keeps a client connected: reconnects, and resumes its subscriptions.

Whenever there is a new connection, everything is resumed on it before anybody else's requests may use it. When another attempt
is impossible or pointless, everybody who waits gets the reason as an exception.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple, Protocol

from .backoff import Backoff
from .errors import ClientError, ConnectionLost, is_permanent
from .session import Session
from .state import ConnectionState, StateCallback

logger = logging.getLogger(__name__)


class Heartbeat(NamedTuple):
    """Seconds between pings (None: no pings), and until a pong is overdue."""

    interval: float | None
    timeout: float


class Ward(Protocol):
    """Whom a connection is kept up for."""

    async def open_session(self) -> Session:
        """A new connection. Raises ClientError."""

    def resumptions(self, session: Session) -> list[Coroutine[Any, Any, None]]:
        """What is to be done first on a new connection."""

    def interrupted(self) -> None:
        """The connection is gone."""

    def finished(self, error: BaseException | None) -> None:
        """There will be no connection any more."""


class Keeper:
    """One task that opens, watches and reopens the connection; without a `backoff` it does not reopen it.

    `live` is the session of the open connection, also while it is being resumed.
    """

    def __init__(self, ward: Ward, backoff: Backoff | None, heartbeat: Heartbeat) -> None:
        self.state = ConnectionState.IDLE
        self.live: Session | None = None
        self._ward = ward
        self._backoff = backoff
        self._heartbeat = heartbeat
        self._callbacks: list[StateCallback] = []
        self._ready: asyncio.Future[Session] | None = None
        self._task: asyncio.Task[None] | None = None

    def on_state(self, callback: StateCallback) -> Callable[[], None]:
        """Call back on every change of state, until what is returned is called."""
        self._callbacks.append(callback)
        return partial(self._callbacks.remove, callback)

    async def start(self) -> None:
        """Open the first connection. Raises ClientError."""
        if self.state is not ConnectionState.IDLE:
            raise RuntimeError("a client connects once; make a new one")
        self._become(ConnectionState.CONNECTING)
        self._ready = asyncio.get_running_loop().create_future()
        try:
            session = await self._ward.open_session()
        except BaseException as error:
            self._finish(error)
            raise
        self._task = asyncio.create_task(self._keep(session), name="geostream-client")
        self._task.add_done_callback(self._kept)
        try:
            await self.session()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the connection; it is not reopened."""
        self._finish(None)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def session(self) -> Session:
        """The session of a connection that is resumed; waits for it. Raises what ended the last connection for good."""
        if self._ready is None:
            raise ConnectionLost("the client is not connected")
        return await asyncio.shield(self._ready)

    async def _keep(self, session: Session | None) -> None:
        clock = asyncio.get_running_loop().time
        attempt = 0
        error: ClientError | None = None
        while True:
            if session is not None:
                began = clock()
                error = await self._serve(session)
                if self._backoff is not None and clock() - began >= self._backoff.stable:
                    attempt = 0
            if self._backoff is None or self._backoff.exhausted(attempt) or is_permanent(error):
                return self._finish(error)
            self._become(ConnectionState.RECONNECTING, error)
            await self._backoff.wait(attempt)
            attempt += 1
            try:
                session = await self._ward.open_session()
            except ClientError as failure:
                logger.info("attempt %d to reconnect: %s", attempt, failure)
                session, error = None, failure

    async def _serve(self, session: Session) -> ClientError | None:
        """Use a connection until it ends; the answer is why it did."""
        ended = None
        self.live = session
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(session.read())
                tasks.create_task(self._beat(session))
                await self._resume(session, tasks)
                self._announce(session)
        except* ClientError as errors:
            ended = next(error for error in errors.exceptions if isinstance(error, ClientError))
        finally:
            await self._abandon(session, ended)
        return ended

    async def _resume(self, session: Session, tasks: asyncio.TaskGroup) -> None:
        resumed = [tasks.create_task(resumption) for resumption in self._ward.resumptions(session)]
        if resumed:
            await asyncio.wait(resumed)
        for task in resumed:
            task.result()

    async def _beat(self, session: Session) -> None:
        """Notice a connection that is dead without having been closed, and keep idle ones open."""
        while self._heartbeat.interval is not None:
            await asyncio.sleep(self._heartbeat.interval)
            await session.ping(self._heartbeat.timeout)

    def _announce(self, session: Session) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(session)
            self._become(ConnectionState.CONNECTED)

    async def _abandon(self, session: Session, error: BaseException | None) -> None:
        self.live = None
        if self.state is not ConnectionState.CLOSED and self._ready is not None and self._ready.done():
            self._ready = asyncio.get_running_loop().create_future()
        self._ward.interrupted()
        await session.close(error)

    def _kept(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (bug := task.exception()) is not None:
            logger.error("the client failed", exc_info=bug)
            self._finish(bug)

    def _finish(self, error: BaseException | None) -> None:
        if self.state is ConnectionState.CLOSED:
            return
        self._ward.finished(error)
        if self._ready is None or self._ready.done():
            self._ready = asyncio.get_running_loop().create_future()
        self._ready.set_exception(error or ConnectionLost("the client was closed"))
        self._ready.exception()  # nobody needs to be waiting
        self._become(ConnectionState.CLOSED, error)

    def _become(self, state: ConnectionState, error: BaseException | None = None) -> None:
        if state is self.state:
            return
        self.state = state
        for callback in tuple(self._callbacks):
            asyncio.get_running_loop().call_soon(callback, state, error)
