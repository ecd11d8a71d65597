"""Several subscriptions, read as one stream: for programs that treat all that comes alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")


async def merged(sources: Iterable[AsyncIterator[T]]) -> AsyncIterator[T]:
    """What comes from any of them, in the order in which it comes. A source that fails, fails it all; one that ends is left out."""
    waiting = {asyncio.ensure_future(_next(source)): source for source in sources}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                source = waiting.pop(task)
                one = task.result()
                if one is not None:
                    yield one
                    waiting[asyncio.ensure_future(_next(source))] = source
    finally:
        for task in waiting:
            task.cancel()


async def _next(source: AsyncIterator[T]) -> T | None:
    return await anext(source, None)
