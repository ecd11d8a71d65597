"""Sends what is in an outbox, several at a time, in every server process: each takes other requests.

A request is sent at least once: a process that dies after it was received, and before that was stored, has it sent again. So each should
have a key by which its receiver recognises it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from django.db import DatabaseError
from django.utils import timezone

from streaming.core.tasks import cancel
from streaming.models.outgoing import OutgoingRequest

from .addresses import AddressRefused, AddressRules, HostUnknown
from .client import RequestFailed, send
from .outbox import Due, Outbox

logger = logging.getLogger(__name__)

AT_ONCE = 12
LOOK_SECONDS = 5.0
"""How often the outbox is looked at without a doorbell."""
BUSY_SECONDS = 0.2
ANSWER_BYTES = 64 * 1024
GONE = 410

R = TypeVar("R", bound=OutgoingRequest)
T = TypeVar("T")


class Overtaken(Exception):
    """There is nothing to report any more."""


class Prepared(NamedTuple):
    """What is sent."""

    body: bytes
    headers: Mapping[str, str]


class SendLimits(NamedTuple):
    """Where requests may go, how many seconds one may take, and how often it is tried."""

    rules: AddressRules
    seconds: float
    attempts: int


class RunInDatabase(Protocol):
    """Does an operation in a thread."""

    def __call__(self, operation: Callable[[], T], /) -> Awaitable[T]:
        """What the operation returns."""


class OutboxSender(Generic[R]):
    """The sender of one process. `prepare` makes a request of a row, or raises `Overtaken`; `limits` is asked each time."""

    def __init__(
        self,
        outbox: Outbox[R],
        run: RunInDatabase,
        prepare: Callable[[R], Awaitable[Prepared]],
        limits: Callable[[], SendLimits],
    ) -> None:
        self.counts = {"sent": 0, "failed": 0, "given_up": 0}
        self._outbox = outbox
        self._run = run
        self._prepare = prepare
        self._limits = limits
        self._sending: dict[asyncio.Task[None], str] = {}
        """With the destination of each."""
        self._bell = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._loop = asyncio.create_task(self._send_for_ever())

    async def stop(self) -> None:
        """Send no more; what was not sent waits in the outbox."""
        if self._loop is not None:
            await cancel([self._loop])
        await cancel(list(self._sending))

    def ring(self) -> None:
        """There may be something to send."""
        self._bell.set()

    async def _send_for_ever(self) -> None:
        while True:
            self._bell.clear()
            wait = LOOK_SECONDS
            with self._tried_again():
                wait = await self._send_due()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._bell.wait()

    @contextmanager
    def _tried_again(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            logger.warning("outgoing requests wait until the database answers: %s", error)
        except Exception:
            logger.exception("outgoing requests could not be sent; they are tried again")

    async def _send_due(self) -> float:
        """Begin to send what is due; returns how long there is nothing more to do, unless one of them ends."""
        while (room := AT_ONCE - len(self._sending)) > 0 and (wait := await self._wait()) <= 0:
            take = partial(self._outbox.take_due, room, 2 * self._limits().seconds + 10, list(self._sending.values()))
            due = await self._run(take)
            if not due:  # another process is just taking them
                return BUSY_SECONDS
            for each in due:
                task = asyncio.create_task(self._send_one(each))
                self._sending[task] = each.destination
                task.add_done_callback(self._ended)
        return wait if room > 0 else LOOK_SECONDS

    async def _wait(self) -> float:
        """Seconds until something is due; only then is more done than to look."""
        at = await self._run(partial(self._outbox.next_due, list(self._sending.values())))
        return LOOK_SECONDS if at is None else min(max((at - timezone.now()).total_seconds(), 0), LOOK_SECONDS)

    async def _send_one(self, due: Due[R]) -> None:
        with self._tried_again():
            await self._send(due)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._sending[task]
        self._bell.set()

    async def _send(self, due: Due[R]) -> None:
        limits = self._limits()
        try:
            await self._post(due, limits)
        except Overtaken:
            await self._run(partial(self._outbox.drop, due))
        except (RequestFailed, HostUnknown) as error:
            over = await self._run(partial(self._outbox.failed, due, str(error), limits.attempts))
            self._count("given_up" if over else "failed", due, error)
        except AddressRefused as error:
            self._count("given_up", due, error)
            await self._run(partial(self._outbox.give_up, due, str(error)))
        else:
            self.counts["sent"] += 1
            await self._run(partial(self._outbox.sent, due))

    async def _post(self, due: Due[R], limits: SendLimits) -> None:
        prepared = await self._prepare(due.row)
        options: dict[str, Any] = {"body": prepared.body, "headers": prepared.headers}
        answer = await send("POST", due.row.url, limits.rules, **options, seconds=limits.seconds, most_bytes=ANSWER_BYTES)
        if answer.status == GONE:
            raise AddressRefused("the server there answers 410: it wants none of this")
        if not 200 <= answer.status < 300:
            raise RequestFailed(f"the server there answers {answer.status}")

    def _count(self, outcome: str, due: Due[R], error: Exception) -> None:
        self.counts[outcome] += 1
        logger.info("a request (%s) was not received (attempt %d, %s): %s", due.row, due.attempt, outcome, error)
