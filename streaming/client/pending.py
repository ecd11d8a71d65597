"""Requests that wait for their answer.

A server answers the requests of one name (a subscription id, mostly) in their order, so the first answer belongs to the first
request, also when nobody waits for it any more. What an answer changes is changed before the next message is looked at: the
data of a subscription follow its ack at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from .errors import ClientError, RequestTimedOut


@dataclass(slots=True, eq=False)
class _Request:
    answered: Callable[[Any, bool], None]
    future: asyncio.Future[Any]


class Pending:
    """The unanswered requests of one connection."""

    def __init__(self) -> None:
        self._requests: dict[Hashable, deque[_Request]] = {}

    def expect(self, name: Hashable, answered: Callable[[Any, bool], None]) -> asyncio.Future[Any]:
        """Expect one more answer under this name. `answered` gets it first, and whether anybody still waits for it."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._requests.setdefault(name, deque()).append(_Request(answered, future))
        return future

    def answer(self, name: Hashable, answer: Any) -> bool:
        """Give the oldest request its answer: False if there is none. What its `answered` raises, the requester gets."""
        queue = self._requests.get(name)
        if not queue:
            return False
        request = queue.popleft()
        if not queue:
            del self._requests[name]
        try:
            request.answered(answer, not request.future.done())
        except ClientError as error:
            _fail(request.future, error)
        else:
            if not request.future.done():
                request.future.set_result(answer)
        return True

    def fail(self, error: BaseException) -> None:
        """No answers will come any more."""
        requests, self._requests = self._requests, {}
        for queue in requests.values():
            for request in queue:
                _fail(request.future, error)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # the requester may be gone: that is nothing to warn of


async def within(timeout: float, future: asyncio.Future[Any], what: str) -> Any:
    """The answer, or RequestTimedOut."""
    try:
        async with asyncio.timeout(timeout):
            return await future
    except TimeoutError as error:
        raise RequestTimedOut(f"no answer to {what} within {timeout:g} seconds") from error
