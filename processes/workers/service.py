"""The workers that are connected to this server process: what they have, what they are told, and what becomes of it when they go.

The database is the truth. What is known here of workers and jobs only decides who is given the next one, and whom to notify.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Coroutine, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from django.db import DatabaseError

from processes.catalogue import ProcessCatalogue
from processes.jobs import outcomes
from processes.jobs.changes import JobChange
from processes.jobs.outcomes import Lease, LeaseError
from processes.jobs.queue import Claim
from processes.jobs.service import Jobs
from processes.json_rpc import Code, RpcError
from streaming.core.errors import CloseCode, StreamError
from streaming.core.tasks import TaskSet
from streaming.engine.conf import conf
from streaming.engine.measures import Sample
from streaming.engine.service import Service
from streaming.engine.work import WorkQueue

from .connecting import Connected, disconnect, give_back_all, look_after, other_nodes, revoke_lease, set_flags, sweep_node
from .dispatcher import Dispatcher
from .execution import execute_message
from .held_jobs import HeldJob, HeldJobs
from .messages import Failure
from .tokens import TOKENS_CHANGED, invalid_tokens

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

    from .session import WorkerSession

logger = logging.getLogger(__name__)

CONNECTED = "processes.connected"
"""The control message that a worker has connected: an older connection of it, wherever it is, is closed."""
DRAIN = "processes.drain"
"""The control message before a server is stopped: workers are asked to connect again in a while."""
REVIEW_SECONDS = 5.0
STOP_SECONDS = 2.0
BUSY_SECONDS = 1.0
"""How long a worker that said it was busy is given nothing."""
STRIKES = 3
"""Jobs in a row that a worker does not acknowledge before its connection is closed."""
MESSAGES_OF_JOB = 8
"""What a worker may say of a job that it was given, besides what it may say anyway."""


class Workers(Service):
    """All of them, their jobs, and the dispatcher."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.jobs = runtime.service(Jobs)
        self.catalogue = runtime.service(ProcessCatalogue)
        self.work = runtime.service(WorkQueue)
        self.node = runtime.hub.node
        self.sessions: dict[int, WorkerSession] = {}
        self.held = HeldJobs()
        self.counts = {"claimed": 0, "refused": 0, "lost": 0}
        self.dispatcher = Dispatcher(self)
        self._tasks = TaskSet()
        self.jobs.observe(self._job_changed)
        self.jobs.fill_slots(self.dispatcher.slot_for)
        runtime.hub.on(CONNECTED, self._connected_elsewhere)
        runtime.hub.on(TOKENS_CHANGED, lambda message: self.spawn(self._review_tokens()))
        runtime.hub.on(DRAIN, self._asked_to_drain)

    async def start(self) -> None:
        """Give out jobs, and look after the rows of workers."""
        self.dispatcher.start()
        self.jobs.every(REVIEW_SECONDS, self.review)

    async def stop(self) -> None:
        """Those that are still connected leave their rows; the connections were closed with 1012."""
        await self.dispatcher.stop()
        await self._tasks.wait(STOP_SECONDS)
        self._tasks.cancel()
        leaving = asyncio.create_task(self.jobs.change(partial(sweep_node, self.node)))
        await asyncio.wait([leaving], timeout=STOP_SECONDS)  # a database that is away is not waited for: others sweep what is left

    def collect(self) -> Iterable[Sample]:
        """Who is here, and what was done."""
        yield "geostream_process_workers", (), len(self.sessions)
        yield "geostream_process_jobs_running", (), len(self.held)
        yield "geostream_process_claims_total", (), self.counts["claimed"]
        yield "geostream_process_leases_lost_total", (), self.counts["lost"]
        yield "geostream_process_messages_refused_total", (), self.counts["refused"]

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something in the background; what fails because a lease has ended is over."""
        self._tasks.spawn(self._quietly(work))

    async def _quietly(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except LeaseError:
            pass
        except (DatabaseError, StreamError) as error:
            logger.warning("something about a worker was not stored: %s", error)
        except Exception:
            logger.exception("something about a worker went wrong")

    # -- connections ---------------------------------------------------------

    def joined(self, session: WorkerSession) -> None:
        """A worker has said hello."""
        older = self.sessions.get(session.worker)
        self.sessions[session.worker] = session
        if older is not None:
            self._supersede(older)

    async def announce_session(self, connected: Connected) -> None:
        """Close an older connection of the worker elsewhere; notify of what it has not brought along."""
        if connected.replaced:
            try:
                await self.runtime.hub.control(CONNECTED, worker=connected.worker, session=str(connected.session))
            except StreamError as error:
                logger.warning("an older connection of a worker ends a little later: %s", error)
            await self.catalogue.announce()

    def left(self, session: WorkerSession) -> None:
        """A connection has ended. What its worker has begun is stored; its leases run on."""
        if not session.worker:
            return
        for held in list(session.held.values()):
            if held.starting and not held.started:
                self.spawn(self.jobs.change(partial(outcomes.start, held.lease, held.offer.run_seconds)))
            self.held.remove(held)
        if self.sessions.get(session.worker) is session:
            del self.sessions[session.worker]
        self.spawn(self._disconnect(session))

    async def _disconnect(self, session: WorkerSession) -> None:
        await self.jobs.change(partial(disconnect, session.worker, session.id))
        await self.catalogue.announce()

    def _connected_elsewhere(self, message: dict[str, Any]) -> None:
        session = self.sessions.get(message["worker"])
        if session is not None and str(session.id) != message["session"]:
            self._supersede(session)

    def _supersede(self, session: WorkerSession) -> None:
        session.connection.close(CloseCode.SUPERSEDED, "a newer connection of this worker has taken its place")

    def _asked_to_drain(self, message: dict[str, Any]) -> None:
        if message["node"] in ("", self.node):
            for session in self.sessions.values():
                session.draining = True
                session.notify("server.drain", {"reconnectAfterSeconds": message["seconds"]})

    # -- rows ----------------------------------------------------------------

    async def review(self) -> None:
        """Look after the rows of workers, tokens and dead server processes; renew the leases of workers that spoke of them."""
        await self._sweep_dead()
        await self._look_after()
        await self._review_tokens()
        await self._renew()

    async def _sweep_dead(self) -> None:
        others = await self.jobs.read(partial(other_nodes, self.node))
        for node in await self.runtime.leases.silent(others):
            await self.jobs.change(partial(sweep_node, node))
            await self.catalogue.announce()

    async def _look_after(self) -> None:
        if self.sessions:
            sessions = {pk: session.id for pk, session in self.sessions.items()}
            offers = {pk: {each.pk: each.concurrency for each in session.offers.values()} for pk, session in self.sessions.items()}
            for worker in await self.jobs.change(partial(look_after, self.node, sessions, offers)):
                if (session := self.sessions.get(worker)) is not None and session.id == sessions[worker]:
                    self._supersede(session)

    async def _review_tokens(self) -> None:
        by_token: dict[int, list[WorkerSession]] = {}
        for session in self.sessions.values():
            by_token.setdefault(session.token.pk, []).append(session)
        if by_token:
            for token in await self.jobs.read(partial(invalid_tokens, list(by_token))):
                for session in by_token[token]:
                    session.connection.close(CloseCode.FORBIDDEN, "the worker token was revoked or has expired")

    async def _renew(self) -> None:
        due = [each for each in self.held if each.alive_at > each.renewed_at]
        if due:
            await self.jobs.change(partial(outcomes.renew, [each.lease for each in due], conf.PROCESS_LEASE_SECONDS))
            for each in due:
                each.renewed_at = time.monotonic()

    # -- giving out jobs -----------------------------------------------------

    def execute(self, claims: list[Claim]) -> None:
        """Give claimed jobs to their workers."""
        undeliverable = []
        for claim in claims:
            lease = Lease(claim.job, claim.attempt, claim.lease)
            session = self.sessions.get(claim.worker)
            offer = session.offers.get(claim.process) if session else None
            if session is None or offer is None:
                undeliverable.append(lease)
                continue
            held = HeldJob(lease, offer, session)
            self.held.add(held)
            self.fill(held, claim)
        if undeliverable:
            self.spawn(self.jobs.change(partial(give_back_all, undeliverable)))

    def fill(self, held: HeldJob, claim: Claim) -> None:
        """Give a claimed job to the worker that has a slot for it."""
        self.counts["claimed"] += 1
        session = held.session
        if held.cancelling or session.closed or session.connection.closing or self.held.get(claim.lease) is not held:
            self.held.remove(held)
            self.spawn(self.jobs.change(partial(give_back_all, [held.lease])))
            return
        size = session.request("job.execute", execute_message(claim, held.offer), partial(self._accepted, held))
        session.allowance.grant(MESSAGES_OF_JOB, size + conf.PROCESS_FRAME_BYTES)
        held.later("ack", conf.PROCESS_ACK_SECONDS, partial(self._ack_due, held))

    def _accepted(self, held: HeldJob, result: msgspec.Raw, error: RpcError | None) -> None:
        """The worker has answered to a job that it was given."""
        held.forget("ack")
        if self.held.get(held.lease.lease) is not held:
            return
        held.session.strikes = 0
        if error is None:
            held.acknowledged = True
            return
        if error.code in (Code.BUSY, Code.DRAINING):
            held.session.busy_until = time.monotonic() + BUSY_SECONDS
            held.session.draining |= error.code == Code.DRAINING
            self.spawn(self._give_back(held))
        else:
            self.spawn(self._reject(held, error))
        self.held.remove(held)

    async def _give_back(self, held: HeldJob) -> None:
        await self.jobs.change(partial(outcomes.give_back, held.lease))

    async def _reject(self, held: HeldJob, error: RpcError) -> None:
        rejected = error.code == Code.REJECTED
        given = error.data.get("problem") if isinstance(error.data, dict) else None
        try:
            failure = msgspec.convert(given or {}, Failure)
        except msgspec.ValidationError:
            failure = Failure()
        if not given:
            failure = Failure(title="Rejected" if rejected else "Process failed", detail=error.message[:1000])
        exception = failure.as_exception(400 if rejected else 500)
        await self.jobs.change(partial(outcomes.fail, held.lease, exception, outcome="rejected" if rejected else "failed"))

    def _ack_due(self, held: HeldJob) -> None:
        """The time is over; but if this process stood still, the acknowledgement may be there and not read yet."""
        held.later("ack", min(1.0, conf.PROCESS_ACK_SECONDS / 4), partial(self._not_acknowledged, held))

    def _not_acknowledged(self, held: HeldJob) -> None:
        """Another worker gets it. This one is given nothing until it speaks again."""
        session = held.session
        if held.starting:  # it only did not answer
            held.acknowledged = True
            return
        self.counts["lost"] += 1
        session.strikes += not session.suspect  # several jobs that were given at once count as one
        session.suspect = True
        self.held.remove(held)
        self.end_job(session, held.lease, "leaseLost")
        self.spawn(self.jobs.change(partial(revoke_lease, held.lease, session.worker, session.id)))
        if session.strikes >= STRIKES:
            session.connection.close(CloseCode.UNRESPONSIVE, "jobs are not acknowledged")

    def trusted_again(self, session: WorkerSession) -> None:
        """A suspect worker has spoken."""
        session.suspect = False
        self.spawn(self.jobs.change(partial(set_flags, session.worker, session.id, suspect=False)))
        self.dispatcher.freed(session)

    # -- ending jobs ---------------------------------------------------------

    def _job_changed(self, change: JobChange) -> None:
        if change.queued is not None:
            self.dispatcher.ring(change.queued)
        if change.cancel is not None and (held := self.held.get(uuid.UUID(change.cancel))) is not None:
            self.counts["lost"] += change.reason == "leaseLost"
            self._cancel(held, change.reason)

    def _cancel(self, held: HeldJob, reason: str) -> None:
        if not held.cancelling:
            held.cancelling = reason or "leaseLost"
            for name in ("ack", "start", "progress"):
                held.forget(name)
            held.later("grace", conf.PROCESS_CANCEL_SECONDS, partial(self._write_off, held))
            self.end_job(held.session, held.lease, held.cancelling, partial(self._cancel_answered, held))

    def end_job(self, session: WorkerSession, lease: Lease, reason: str, answered: Any = None) -> None:
        """Ask a worker to end a job."""
        params = {"jobID": str(lease.job), "attempt": lease.attempt, "leaseID": str(lease.lease), "reason": reason}
        session.request("job.cancel", {**params, "graceSeconds": conf.PROCESS_CANCEL_SECONDS}, answered or (lambda result, error: None))

    def _cancel_answered(self, held: HeldJob, result: msgspec.Raw, error: RpcError | None) -> None:
        """What the worker does not know or has finished takes no slot."""
        try:
            state = msgspec.json.decode(result, type=dict[str, Any]).get("state") if error is None else ""
        except msgspec.DecodeError:
            state = ""
        if state in ("finished", "unknown"):
            self.held.remove(held)

    def _write_off(self, held: HeldJob) -> None:
        """It still works on it, as far as is known: its slot is free when a heartbeat no more names the job."""
        held.written_off = True
