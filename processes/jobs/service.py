"""The jobs of a site, as one server process sees them: its way to the queue, and to whoever waits for a change.

The channel layer is only the doorbell. Who misses it finds out by asking the database again every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from django.db import DatabaseError, IntegrityError

from streaming.core.errors import StreamError
from streaming.core.tasks import TaskSet
from streaming.engine.conf import conf
from streaming.engine.measures import Sample
from streaming.engine.service import Service

from .changes import JobChange, changes_in
from .database_thread import DatabaseThread
from .outcomes import expire
from .queue import Claim, NewJob, Reservation, Submitted, submit_all
from .queue_sizes import Limits, QueueSizes

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

logger = logging.getLogger(__name__)

CHANGED = "processes.jobs"
"""The control message with the changes of another process."""
SWEEP_SECONDS = 2.0

T = TypeVar("T")
Item = TypeVar("Item")
Observer = Callable[[JobChange], None]


class Bell(asyncio.Event):
    """Rings at changes of one job, or only at its end. It may miss one: look into the database now and then."""

    def __init__(self, end: bool) -> None:
        super().__init__()
        self.end = end
        self.outcome: Any = None
        """What the operation has returned that has changed the job, if it was one of this process."""


class Slot(Protocol):
    """A slot of a worker that is kept for one job until that is stored."""

    @property
    def reservation(self) -> Reservation:
        """What is stored with the job."""

    def fill(self, claim: Claim) -> None:
        """It is stored: give it to the worker."""

    def release(self) -> None:
        """It was not."""


class Jobs(Service):
    """The queue, its deadlines, and its doorbell."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.counts = {"submitted": 0, "successful": 0, "failed": 0, "dismissed": 0}
        """Jobs that ended, or were submitted, by what happened in this process."""
        self._database = DatabaseThread(conf.PROCESS_DATABASE_SECONDS)
        self._sizes = QueueSizes()
        self._observers: list[Observer] = []
        self._own_observers: list[Observer] = []
        self._slot_for: Callable[[NewJob], Slot | None] = lambda new: None
        self._submitting = TaskSet()
        self._bells: dict[str, set[Bell]] = {}
        self._to_announce: list[JobChange] = []
        self._swept_at = self._spare_leases_until = -math.inf
        self._stopped = False
        runtime.hub.on(CHANGED, self._changed_elsewhere)

    async def start(self) -> None:
        """Look for what time decides."""
        self.every(SWEEP_SECONDS, self.sweep)

    async def stop(self) -> None:
        """Store what is being stored."""
        self._stopped = True
        await self._database.stop()

    def collect(self) -> Iterable[Sample]:
        """How many jobs, by what became of them here."""
        for status, count in self.counts.items():
            yield "geostream_process_jobs_total", (status,), count

    # -- the database ----------------------------------------------------------

    async def read(self, query: Callable[[], T]) -> T:
        """What a query finds; it runs in the thread of the database."""
        return await self._database.run(query, reads=True)

    async def change(self, operation: Callable[[], T]) -> T:
        """Do an operation of `queue` or `outcomes`, and notify everybody of the changes that it returns."""
        result = await self._database.run(operation)
        self._announce(result)
        return result

    def every(self, seconds: float, job: Callable[[], Awaitable[None]]) -> None:
        """Do work with the database again and again. While that is away it waits, and it ends before the database's thread does."""

        @wraps(job)
        async def unless_stopped() -> None:
            try:
                if not self._stopped:
                    await job()
            except DatabaseError as error:
                if not self._stopped:
                    logger.warning("%s waits for the database: %s", job.__qualname__, error)

        self.runtime.hub.every(seconds, unless_stopped)

    async def read_together(self, query: Callable[[Sequence[Item]], Sequence[T | Exception]], item: Item) -> T:
        """What a query finds for an item; one that finds it for many is asked once for all that wait."""
        return await self._database.run_together(query, item, reads=True)

    async def change_together(self, operation: Callable[[Sequence[Item]], Sequence[T | Exception]], item: Item) -> T:
        """Do an operation on one item, with all others for which it waits, and notify everybody of the change that it returns."""
        result = await self._database.run_together(operation, item)
        self._announce(result)
        return result

    async def submit(self, new: NewJob) -> JobChange:
        """Put a job into the queue, or give it to a worker that has room; it is stored when this returns. `StreamError` queue_full."""
        slot = self._slot_for(new)
        if slot is None:
            submitted = await self.change_together(self._submit_all, new)
        else:  # uninterrupted: what is claimed is given out
            submitted = await asyncio.shield(self._submitting.spawn(self._submit_to(slot, new)))
        self.counts["submitted"] += 1
        return submitted.change

    async def _submit_to(self, slot: Slot, new: NewJob) -> Submitted:
        try:
            submitted = await self._database.run_together(self._submit_all, replace(new, reservation=slot.reservation))
        except IntegrityError:  # somebody has deleted the worker
            slot.release()
            return await self.change_together(self._submit_all, new)
        except BaseException:
            slot.release()
            raise
        assert submitted.claim is not None
        slot.fill(submitted.claim)
        self._announce(submitted)
        return submitted

    def fill_slots(self, slot_for: Callable[[NewJob], Slot | None]) -> None:
        """Ask `slot_for` for a slot for each job that is submitted."""
        self._slot_for = slot_for

    def _submit_all(self, jobs: Sequence[NewJob]) -> list[Submitted | Exception]:
        return submit_all(jobs, Limits(conf.PROCESS_QUEUE, conf.PROCESS_QUEUE_OF_USER), self._sizes)

    async def sweep(self) -> None:
        """End what time has decided.

        Leases are left alone for their time after the database or this process was away: workers could not renew them meanwhile.
        """
        now = time.monotonic()
        if now - self._swept_at > conf.PROCESS_LEASE_SECONDS / 4 + SWEEP_SECONDS:
            self._spare_leases_until = now + conf.PROCESS_LEASE_SECONDS
        await self.change(partial(expire, leases=now >= self._spare_leases_until))
        self._swept_at = time.monotonic()

    # -- the doorbell ----------------------------------------------------------

    def observe(self, observer: Observer, own: bool = False) -> None:
        """Call `observer` for the changes of all jobs, wherever they were made. It must be quick. A change may come twice, or never.

        Only for its `own`: for those that this process has made, once each.
        """
        (self._own_observers if own else self._observers).append(observer)

    @asynccontextmanager
    async def doorbell(self, job: Any, end: bool = False) -> AsyncIterator[Bell]:
        """Rings at each change of one job, or only at its `end`."""
        bell = Bell(end)
        bells = self._bells.setdefault(str(job), set())
        bells.add(bell)
        try:
            yield bell
        finally:
            bells.remove(bell)
            if not bells:
                self._bells.pop(str(job), None)

    def _announce(self, outcome: Any) -> None:
        for change in changes_in(outcome):
            if change.final and change.status in self.counts:
                self.counts[change.status] += 1
            self._pass_on(change, self._own_observers)
            self._notify(change, outcome)
            self._to_announce.append(change)
            if len(self._to_announce) == 1:
                self.runtime.spawn(self._ring())

    async def _ring(self) -> None:
        changes, self._to_announce = self._to_announce, []
        try:
            await self.runtime.hub.control(CHANGED, node=self.runtime.hub.node, changes=[each.as_message() for each in changes])
        except StreamError as error:
            logger.warning("other processes notice %d changed jobs a little later: %s", len(changes), error)

    def _changed_elsewhere(self, message: dict[str, Any]) -> None:
        if message["node"] != self.runtime.hub.node:
            for each in message["changes"]:
                self._notify(JobChange(**each))

    def _notify(self, change: JobChange, outcome: Any = None) -> None:
        self._pass_on(change, self._observers)
        for bell in self._bells.get(change.job, ()):
            if change.final or not bell.end:
                bell.outcome = outcome
                bell.set()

    @staticmethod
    def _pass_on(change: JobChange, observers: Iterable[Observer]) -> None:
        for observer in observers:
            try:
                observer(change)
            except Exception:
                logger.exception("a job's change could not be passed on")
