"""How long the pieces of a coroutine take, between two waits."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")


@coroutine
def timed(
    work: Coroutine[Any, Any, T], took: Callable[[float], None], longer_than: float, clock: Callable[[], float]
) -> Generator[Any, Any, T]:
    """Await a coroutine; `took` is called with the seconds of each of its pieces that was longer than that, by the clock."""
    step: Callable[[Any], Any] = work.send
    argument: Any = None
    while True:
        began = clock()
        try:
            awaited = step(argument)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            argument = None  # an exception has this frame in its traceback: with it here, both would wait for a search for garbage
            if (seconds := clock() - began) > longer_than:
                took(seconds)
        try:
            argument = yield awaited
            step = work.send
        except BaseException as error:  # noqa: BLE001 (it is for the coroutine, whatever it is)
            step, argument = work.throw, error
        finally:
            awaited = None  # likewise: it may be the future that has the exception
