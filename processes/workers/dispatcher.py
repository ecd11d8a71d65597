"""Gives queued jobs to workers that have room: at the doorbell, when a slot becomes free, and every few seconds in case one was missed.

A worker with more free slots comes first, of several the one that is idle for longest. Nothing is claimed beyond what can begin at once.
A job that is submitted while no other waits is claimed with that: it has its slot before it is stored.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from django.db import DatabaseError

from processes.jobs.outcomes import Lease
from processes.jobs.queue import Claim, NewJob, Reservation, Slots, claim
from processes.models import Job
from streaming.core.tasks import cancel
from streaming.engine.conf import conf

from .held_jobs import HeldJob

if TYPE_CHECKING:
    from .service import Workers
    from .session import WorkerSession

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0
"""After a failure of the database."""


@dataclass(frozen=True, slots=True)
class Room:
    """A worker's free slots, and since when it has had nothing to do."""

    free: int
    idle_since: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What may be claimed: of each process the workers that offer it, each with the most that it takes of it."""

    rooms: Mapping[int, Room]
    processes: Mapping[int, Mapping[int, int]]


class ReservedSlot:
    """A slot of a worker, taken by a job that is being stored."""

    def __init__(self, workers: Workers, held: HeldJob) -> None:
        self._workers = workers
        self._held = held
        self.reservation = Reservation(held.session.worker, held.lease.lease, conf.PROCESS_LEASE_SECONDS)

    def fill(self, claim: Claim) -> None:
        """It is stored: give it to the worker."""
        self._workers.fill(self._held, claim)

    def release(self) -> None:
        """It was not."""
        self._workers.held.remove(self._held)


class Dispatcher:
    """One in each server process. Several claim from the same queue without getting the same job."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._queued: dict[int, None] = {}
        """Processes whose queue may have jobs, in the order in which they get their turn."""
        self._claiming = False
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._look())]

    async def stop(self) -> None:
        """Claim no more."""
        await cancel(self._tasks)

    def ring(self, process: int) -> None:
        """A job of a process waits."""
        self._queued.setdefault(process)
        self._wake.set()

    def freed(self, session: WorkerSession) -> None:
        """A worker has room."""
        if not self._queued.keys().isdisjoint(session.offers):
            self._wake.set()

    def slot_for(self, new: NewJob) -> ReservedSlot | None:
        """A slot for a job that nobody waits before; it is taken from now on."""
        if self._claiming or new.process in self._queued or (plan := self._plan([new.process])) is None:
            return None
        session = self._workers.sessions[spread(plan.rooms, plan.processes[new.process])[0]]
        held = HeldJob(Lease(new.id, 1, uuid.uuid4()), session.offers[new.process], session)
        self._workers.held.add(held)
        return ReservedSlot(self._workers, held)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while (plan := self._plan(self._queued)) is not None:
                    self._claiming = True
                    await self._claim(plan)
            except DatabaseError as error:
                logger.warning("no jobs can be given out now: %s", error)
                await asyncio.sleep(PAUSE_SECONDS)
                self._wake.set()
            except Exception:
                logger.exception("jobs could not be given out")
                await asyncio.sleep(PAUSE_SECONDS)
                self._wake.set()
            finally:
                self._claiming = False

    async def _claim(self, plan: Plan) -> None:
        # Uninterrupted: what is claimed is given out, or given back.
        claimed = asyncio.ensure_future(self._workers.jobs.change(partial(claim_for, plan, conf.PROCESS_LEASE_SECONDS)))
        claims, empty = await asyncio.shield(claimed)
        for process in plan.processes:
            self._queued.pop(process, None)
            if process not in empty:
                self._queued[process] = None  # now last in turn
        if claims:
            self._workers.execute(claims)

    def _plan(self, queued: Iterable[int]) -> Plan | None:
        sessions = self._workers.sessions
        rooms = {pk: Room(session.free, session.idle_since) for pk, session in sessions.items() if session.free}
        processes = {}
        for process in queued:
            most = {pk: sessions[pk].free_for(process) for pk in rooms if process in sessions[pk].offers}
            most = {pk: count for pk, count in most.items() if count}
            if most:
                processes[process] = most
        return Plan(rooms, processes) if processes else None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(conf.PROCESS_CLAIM_SECONDS)
            offered = {process for session in self._workers.sessions.values() if session.free for process in session.offers}
            if offered:
                try:
                    for process in await self._workers.jobs.read(partial(_with_queues, offered)):
                        self.ring(process)
                except DatabaseError as error:
                    logger.warning("the queues cannot be looked at now: %s", error)


def spread(rooms: Mapping[int, Room], most: Mapping[int, int]) -> list[int]:
    """The workers in the order in which they get jobs of one process, each as often as it has room."""
    left = {worker: min(rooms[worker].free, count) for worker, count in most.items() if worker in rooms}
    free = {worker: rooms[worker].free for worker in left}
    order = []
    while left:
        worker = min(left, key=lambda each: (-free[each], rooms[each].idle_since))
        order.append(worker)
        free[worker] -= 1
        left[worker] -= 1
        if left[worker] <= 0:
            del left[worker]
    return order


def claim_for(plan: Plan, lease_seconds: float) -> tuple[list[Claim], set[int]]:
    """Claim what a plan allows: an operation. Returns also the processes whose queue is empty now."""
    rooms, claims, empty = dict(plan.rooms), list[Claim](), set[int]()
    for process, most in plan.processes.items():
        order = spread(rooms, most)
        if not order:
            continue
        found = claim([Slots(worker, process, 1) for worker in order], lease_seconds)
        if len(found) < len(order):
            empty.add(process)
        for each in found:
            room = rooms[each.worker]
            rooms[each.worker] = Room(room.free - 1, room.idle_since)
        rooms = {worker: room for worker, room in rooms.items() if room.free > 0}
        claims += found
    return claims, empty


def _with_queues(processes: Iterable[int]) -> Sequence[int]:
    queued = Job.objects.queued().filter(process__in=list(processes))
    return list(queued.order_by().values_list("process", flat=True).distinct())
