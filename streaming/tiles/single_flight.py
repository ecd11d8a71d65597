"""A pool of threads that does equal work once: callers with the same key share one run and its result.

Callers may be on several event loops, and may be cancelled. Work that has not begun when its last caller is cancelled
is never run. No event loop is blocked.
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
    """One run of the work, and the callers that wait for it."""

    def __init__(self, future: Future[Any]) -> None:
        self.future = future
        self.waiters: set[asyncio.Future[Any]] = set()


class SingleFlightPool:
    """Runs work in threads, once for each key at a time."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="tiles")
        self._lock = threading.RLock()  # reentrant, because a future runs its callbacks in the thread that cancels it
        self._calls: dict[Hashable, _Call] = {}

    def __len__(self) -> int:
        return len(self._calls)

    async def run(self, key: Hashable, work: Callable[[], T]) -> T:
        """The result of the work; of the run under way, if there is one for this key."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Any] = loop.create_future()
        with self._lock:
            call = self._calls.get(key) or self._start(key, work)
            call.waiters.add(waiter)
        call.future.add_done_callback(partial(self._wake, call, loop, waiter))
        try:
            result: T = await waiter
            return result
        finally:
            self._leave(key, call, waiter)

    def close(self) -> None:
        """Start no more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self, key: Hashable, work: Callable[[], Any]) -> _Call:
        call = self._calls[key] = _Call(self._pool.submit(work))
        call.future.add_done_callback(lambda _: self._finished(key, call))
        return call

    def _finished(self, key: Hashable, call: _Call) -> None:
        with self._lock:
            if self._calls.get(key) is call:
                del self._calls[key]

    def _leave(self, key: Hashable, call: _Call, waiter: asyncio.Future[Any]) -> None:
        with self._lock:
            call.waiters.discard(waiter)
            if not call.waiters and call.future.cancel():
                self._finished(key, call)

    def _wake(self, call: _Call, loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[Any], done: Future[Any]) -> None:
        with self._lock:
            waiting = waiter in call.waiters
        if waiting and not loop.is_closed():
            loop.call_soon_threadsafe(_copy_result, done, waiter)


def _copy_result(done: Future[Any], waiter: asyncio.Future[Any]) -> None:
    if waiter.done():
        return
    if done.cancelled():
        waiter.cancel()
    elif (error := done.exception()) is not None:
        waiter.set_exception(error)
    else:
        waiter.set_result(done.result())
