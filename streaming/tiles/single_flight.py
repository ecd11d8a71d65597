"""Work in a bounded pool of threads, each piece done once for all who wait for it.

Those who wait may be on several event loops, and may go away: work that nobody waits for any more is not begun. No loop is ever blocked.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class _Call:
    """One piece of work under way, and who waits for it."""

    def __init__(self, future: Future[Any]) -> None:
        self.future = future
        self.waiters: set[asyncio.Future[Any]] = set()


class SingleFlightPool:
    """Pieces of work by key."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="tiles")
        self._lock = threading.RLock()  # a future calls back in the thread that cancels or asks it
        self._flights: dict[Hashable, _Call] = {}

    def __len__(self) -> int:
        return len(self._flights)

    async def join(self, key: Hashable, work: Callable[[], T]) -> T:
        """The work's result. Whoever asks for the same key meanwhile gets the same one."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Any] = loop.create_future()
        with self._lock:
            flight = self._flights.get(key) or self._start(key, work)
            flight.waiters.add(waiter)
        flight.future.add_done_callback(partial(self._wake, flight, loop, waiter))
        try:
            result: T = await waiter
            return result
        finally:
            self._leave(key, flight, waiter)

    def forget(self, key: Hashable) -> None:
        """Begin anew for those who ask from now on; those who wait still get what is under way."""
        with self._lock:
            self._flights.pop(key, None)

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self, key: Hashable, work: Callable[[], Any]) -> _Call:
        flight = self._flights[key] = _Call(self._pool.submit(work))
        flight.future.add_done_callback(lambda _: self._landed(key, flight))
        return flight

    def _landed(self, key: Hashable, flight: _Call) -> None:
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]

    def _leave(self, key: Hashable, flight: _Call, waiter: asyncio.Future[Any]) -> None:
        with self._lock:
            flight.waiters.discard(waiter)
            if not flight.waiters and flight.future.cancel():
                self._landed(key, flight)

    def _wake(self, flight: _Call, loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[Any], done: Future[Any]) -> None:
        with self._lock:
            waiting = waiter in flight.waiters
        if waiting and not loop.is_closed():
            loop.call_soon_threadsafe(_hand_over, waiter, done)


def _hand_over(waiter: asyncio.Future[Any], done: Future[Any]) -> None:
    if waiter.done():
        return
    if done.cancelled():
        waiter.cancel()
    elif (error := done.exception()) is not None:
        waiter.set_exception(error)
    else:
        waiter.set_result(done.result())
