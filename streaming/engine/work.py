"""Threads for work whose length a client or a publisher chose, shared fairly: whoever has used them most waits longest.

What takes the event loop more than a few milliseconds is done here, in pieces of some tens of milliseconds where that can be arranged:
between two pieces of one client the others have their turn. The pieces of one client are done in order, one at a time.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from streaming.core.errors import StreamError

from .conf import conf
from .measures import Sample
from .service import Service

if TYPE_CHECKING:
    from .runtime import Runtime

SWITCH_SECONDS = 0.001
"""After how long a thread that computes gives up the interpreter's lock when the event loop wants it (Python's default is 5 ms)."""

P = ParamSpec("P")
T = TypeVar("T")


class WorkQueue(Service):
    """The threads of one process, and what waits for them."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.refused = 0
        self.seconds = 0.0
        """Processor time used."""
        self._most_waiting: int = conf.WORK_WAITING
        self._free: int = conf.WORK_THREADS
        self._threads = ThreadPoolExecutor(self._free, thread_name_prefix="work")
        self._owners: dict[Hashable, _Owner] = {}
        self._began_at = 0.0
        """The use that an owner begins with: as much as the one whose turn was last, so that nobody saves up turns."""
        self._running: set[asyncio.Future[Any]] = set()
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_SECONDS))

    async def run(self, owner: Hashable, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns or raises. It is not called if the caller is cancelled before its turn.

        `owner` is who causes the work: a connection, a user, a channel of a publisher. `StreamError("rate_limited")` if as much of the
        same owner waits as may (`GEOSTREAM_WORK_WAITING`).
        """
        queue = self._owners.get(owner)
        if queue is None:
            queue = self._owners[owner] = _Owner()
        if queue.idle:
            queue.used = max(queue.used, self._began_at)
        if len(queue.waiting) >= self._most_waiting:
            self.refused += 1
            raise StreamError("rate_limited", "too much work waits for this client; wait for its answers")
        result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        queue.waiting.append((result, lambda: function(*args, **kwargs)))
        self._start_next()
        return await result  # type: ignore[no-any-return]

    @property
    def waiting(self) -> int:
        """Pieces of work that wait for a thread."""
        return sum(len(queue.waiting) for queue in self._owners.values())

    async def stop(self) -> None:
        """Finish what runs, and cancel what waits."""
        for result, _ in [each for queue in self._owners.values() for each in queue.waiting]:
            result.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._running:
            await asyncio.wait(self._running, timeout=1.0)

    def collect(self) -> Iterable[Sample]:
        """What was done, and what waits."""
        yield "geostream_work_seconds_total", (), self.seconds
        yield "geostream_work_waiting", (), self.waiting
        yield "geostream_work_refused_total", (), self.refused

    def _start_next(self) -> None:
        while self._free:
            ready = [queue for queue in self._owners.values() if queue.waiting and not queue.running]
            if not ready:
                return
            queue = min(ready, key=lambda each: each.used)
            result, work = queue.waiting.popleft()
            if not result.done():  # else its caller was cancelled
                self._began_at = max(self._began_at, queue.used)
                queue.running = True
                self._free -= 1
                self._start(queue, result, work)

    def _start(self, queue: _Owner, result: asyncio.Future[Any], work: Callable[[], Any]) -> None:
        use = _Use()
        running = asyncio.get_running_loop().run_in_executor(self._threads, use.measure, work)
        self._running.add(running)
        running.add_done_callback(partial(self._finished, queue, result, use))

    def _finished(self, queue: _Owner, result: asyncio.Future[Any], use: _Use, running: asyncio.Future[Any]) -> None:
        self._running.discard(running)
        queue.running = False
        self._free += 1
        queue.used += use.seconds
        self.seconds += use.seconds
        if running.cancelled():
            result.cancel()
        elif (error := running.exception()) is not None:
            _settle(result, result.set_exception, error)
        else:
            _settle(result, result.set_result, running.result())
        self._start_next()
        self._forget_idle()

    def _forget_idle(self) -> None:
        """Forget owners that would begin as new ones do: all, if nobody waits or works, else those that have used no more."""
        busy = {owner: queue for owner, queue in self._owners.items() if not queue.idle}
        if busy:
            busy |= {owner: queue for owner, queue in self._owners.items() if queue.used > self._began_at}
        self._owners = busy


class _Owner:
    """What one owner has used, and what of it waits."""

    __slots__ = ("running", "used", "waiting")

    def __init__(self) -> None:
        self.used = 0.0
        self.waiting: deque[tuple[asyncio.Future[Any], Callable[[], Any]]] = deque()
        self.running = False

    @property
    def idle(self) -> bool:
        """Whether nothing of it runs or waits."""
        return not self.waiting and not self.running


class _Use:
    """The processor time that a piece of work has used."""

    seconds = 0.0

    def measure(self, work: Callable[[], T]) -> T:
        """Do the work."""
        began = time.thread_time()
        try:
            return work()
        finally:
            self.seconds = time.thread_time() - began


def _settle(result: asyncio.Future[Any], settle: Callable[[Any], None], value: Any) -> None:
    if not result.done():  # else the caller was cancelled
        settle(value)
