"""What a worker says of itself: hello, the processes that it offers, heartbeats, and that it is about to leave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from processes.descriptions import DescriptionError, ProcessDescription
from processes.jobs.outcomes import renew
from processes.json_rpc import Code, RpcError
from streaming.core.errors import CloseCode
from streaming.engine.conf import conf

from .connecting import connect, disconnect_session, set_flags
from .held_jobs import HeldJob
from .messages import Drain, Heartbeat, Hello, Register, Unregister
from .offers import OfferedProcess, offered_processes
from .registering import register, unregister

if TYPE_CHECKING:
    from .session import WorkerSession

VERSIONS = ("1.0",)

Method = tuple[type[Any], Callable[["WorkerSession", Any, int], Awaitable[Any]]]


async def hello(session: WorkerSession, message: Hello, size: int) -> dict[str, Any]:
    """`worker.hello`."""
    workers = session.workers
    if session.worker:
        raise RpcError(Code.INVALID_REQUEST, "the worker has said hello already")
    if message.protocol not in VERSIONS:
        session.connection.close(CloseCode.BAD_PROTOCOL, f"this server speaks version {VERSIONS[0]}")
        raise RpcError(Code.INVALID_PARAMS, f"this server speaks version {VERSIONS[0]} of the protocol, not {message.protocol!r}")
    try:
        connected = await workers.jobs.change(
            partial(connect, session.token, message, workers.node, session.id, conf.PROCESS_LEASE_SECONDS)
        )
    except asyncio.CancelledError:  # it has left, and is stored as connected all the same
        workers.spawn(workers.jobs.change(partial(disconnect_session, session.id)))
        raise
    session.worker, session.name, session.concurrency = connected.worker, message.worker_id, connected.concurrency
    workers.joined(session)
    if connected.resumed:
        offers = await workers.jobs.read(partial(offered_processes, [each.process for each in connected.resumed]))
        for each in connected.resumed:
            if each.process in offers:
                held = HeldJob(each.lease, offers[each.process], session, acknowledged=True, started=each.started, starting=each.started)
                workers.held.add(held)
    await workers.announce_session(connected)
    limits = {"frameBytes": conf.PROCESS_FRAME_BYTES, "inlineBytes": conf.PROCESS_INLINE_BYTES, "blobBytes": conf.PROCESS_BLOB_BYTES}
    return {
        "sessionID": str(session.id),
        "serverTime": _now(),
        "heartbeatSeconds": conf.PROCESS_HEARTBEAT_SECONDS,
        "leaseSeconds": conf.PROCESS_LEASE_SECONDS,
        "ackSeconds": conf.PROCESS_ACK_SECONDS,
        "concurrency": connected.concurrency,
        "limits": limits,
        "blobURL": session.connection.blob_url,
        "resumed": [
            {"jobID": str(each.lease.job), "leaseID": str(each.lease.lease), "expires": connected.expires} for each in connected.resumed
        ],
        "abandoned": [{"jobID": str(job), "reason": reason} for job, reason in connected.abandoned],
    }


async def register_process(session: WorkerSession, message: Register, size: int) -> dict[str, Any]:
    """`process.register`."""
    workers = session.workers
    try:
        description = await workers.work.run(session.id, ProcessDescription.parse, message.process)
    except DescriptionError as error:
        raise RpcError(Code.INVALID_DESCRIPTION, f"the description is not valid: {error}", {"errors": error.errors}) from None
    if len(session.offers) >= conf.PROCESS_OFFERS_OF_WORKER:
        raise RpcError(Code.RATE, f"a worker may offer {conf.PROCESS_OFFERS_OF_WORKER} processes")
    concurrency = min(message.concurrency or session.concurrency, session.concurrency)
    registered = await workers.jobs.change(
        partial(register, session.token, session.worker, message, description, concurrency, conf.PROCESS_OFFLINE_SECONDS)
    )
    run_seconds = None if message.continuous else message.timeouts.run_seconds or conf.PROCESS_RUN_SECONDS
    session.offers[registered.process] = OfferedProcess(
        registered.process,
        description.id,
        description.version,
        description,
        run_seconds,
        message.result_check == "warn",
        concurrency,
    )
    session.revision += 1
    await workers.catalogue.announce()
    workers.dispatcher.ring(registered.process)
    return {
        "processID": description.id,
        "version": description.version,
        "hash": description.digest,
        "role": registered.role,
        "warnings": list(registered.warnings),
    }


async def unregister_process(session: WorkerSession, message: Unregister, size: int) -> dict[str, Any]:
    """`process.unregister`. Jobs of it that the worker does, it does to the end."""
    for offer in list(session.offers.values()):
        if (offer.identifier, offer.version) == (message.process_id, message.version):
            del session.offers[offer.pk]
            session.revision += 1
            remaining = await session.workers.jobs.change(partial(unregister, session.worker, offer.pk))
            await session.workers.catalogue.announce()
            return {"remainingWorkers": remaining}
    raise RpcError(Code.INVALID_PARAMS, f"this worker does not offer {message.process_id} {message.version}")


async def heartbeat(session: WorkerSession, message: Heartbeat, size: int) -> dict[str, Any]:
    """`worker.heartbeat`: renews the leases that it names."""
    workers = session.workers
    held, lost = await workers.jobs.change(partial(renew, [each.lease for each in message.jobs], conf.PROCESS_LEASE_SECONDS))
    for each in message.jobs:
        if (job := workers.held.get(each.lease_id)) is not None:
            job.alive_at = job.renewed_at = time.monotonic()
    named = {each.lease_id for each in message.jobs}
    for job in list(session.held.values()):
        if job.written_off and job.lease.lease not in named:
            workers.held.remove(job)
    if session.suspect:
        workers.trusted_again(session)
    expires = (timezone.now() + timedelta(seconds=conf.PROCESS_LEASE_SECONDS)).isoformat()
    return {
        "serverTime": _now(),
        "renewed": [{"leaseID": str(each), "expires": expires} for each in held],
        "lost": [{"leaseID": str(each), "reason": reason} for each, reason in lost],
    }


async def drain(session: WorkerSession, message: Drain, size: int) -> dict[str, Any]:
    """`worker.drain`: it is given no new jobs."""
    session.draining = True
    await session.workers.jobs.change(partial(set_flags, session.worker, session.id, draining=True))
    return {"running": len(session.held)}


def _now() -> str:
    return timezone.now().isoformat()


METHODS: dict[str, Method] = {
    "worker.hello": (Hello, hello),
    "process.register": (Register, register_process),
    "process.unregister": (Unregister, unregister_process),
    "worker.heartbeat": (Heartbeat, heartbeat),
    "worker.drain": (Drain, drain),
}
