"""The timers that an event loop is given: each wakes the process once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple


class Timer(NamedTuple):
    """When it fires, on the loop's clock, and in how many seconds that was when it was set."""

    when: float
    seconds: float


@contextmanager
def timers_set() -> Iterator[list[Timer]]:
    """Those that the running loop is given while this is open."""
    loop: Any = asyncio.get_running_loop()
    call_at, timers = loop.call_at, list[Timer]()

    def noting(when: float, *args: Any, **kwargs: Any) -> Any:
        timers.append(Timer(when, when - loop.time()))
        return call_at(when, *args, **kwargs)

    loop.call_at = noting
    try:
        yield timers
    finally:
        del loop.call_at
