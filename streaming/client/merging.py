"""Several subscriptions, read as one stream: for programs that treat all that comes alike."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Merged(AsyncIterator[T], Generic[T]):
    """What comes from any of the sources, in the order in which it comes. A source that fails, fails it all; one that ends is left out.

    Waiting for the next one may be given up (`asyncio.wait_for`): what has come meanwhile is there for whoever asks next.
    """

    def __init__(self, sources: Iterable[AsyncIterator[T]]) -> None:
        self._resting: list[AsyncIterator[T]] = list(sources)
        self._asked: dict[asyncio.Task[T | None], AsyncIterator[T]] = {}
        self._ready: deque[T] = deque()

    async def __anext__(self) -> T:
        while not self._ready:
            for source in self._resting:
                self._asked[asyncio.ensure_future(_next(source))] = source
            self._resting = []
            if not self._asked:
                raise StopAsyncIteration
            done, _ = await asyncio.wait(self._asked, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self._take(task)
        return self._ready.popleft()

    async def aclose(self) -> None:
        """Ask the sources no more."""
        self._stop()

    def __del__(self) -> None:
        self._stop()

    def _take(self, task: asyncio.Task[T | None]) -> None:
        source = self._asked.pop(task)
        try:
            one = task.result()
        except BaseException:
            self._stop()
            raise
        if one is not None:
            self._ready.append(one)
            self._resting.append(source)

    def _stop(self) -> None:
        asked, self._asked, self._resting = self._asked, {}, []
        for task in asked:
            if not task.get_loop().is_closed():
                task.cancel()


def merged(sources: Iterable[AsyncIterator[T]]) -> Merged[T]:
    """The sources as one stream."""
    return Merged(sources)


async def _next(source: AsyncIterator[T]) -> T | None:
    return await anext(source, None)
