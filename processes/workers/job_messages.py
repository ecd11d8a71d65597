"""What a worker says of its jobs: begun, progress, log, outputs, result, failure, cancelled.

The database decides by the lease whether it counts; what is kept in memory here is only so that a worker that says much does not have
all of it written.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from processes.jobs import outcomes
from processes.jobs.changes import JobChange
from processes.jobs.outcomes import Lease, LeaseError, OutputPart, Succeeded, Success, problem
from processes.json_rpc import Code, RpcError
from processes.models import Blob, Job
from streaming.engine.conf import conf

from .held_jobs import HeldJob
from .messages import Checkpoint, Fail, JobMessage, Log, Output, Progress, Result, Started
from .offers import OfferedProcess, offered_processes
from .worker_messages import Method

if TYPE_CHECKING:
    from .session import WorkerSession

START_SECONDS = 0.05
"""What ends sooner after it was begun is not stored as running in between."""
Stored = TypeVar("Stored")
CHECKED_AT_ONCE = 16 * 1024
"""Bytes of a result that are checked against its schema on the event loop; of a larger one in a thread."""


async def started(session: WorkerSession, message: Started, size: int) -> None:
    """`job.started`."""
    held = _spoken_of(session, message)
    if not held.starting:
        held.starting = True
        held.later("start", START_SECONDS, partial(_store_start, session, held))


async def progress(session: WorkerSession, message: Progress, size: int) -> None:
    """`job.progress`: of many the newest is stored, once in a while."""
    held = _spoken_of(session, message)
    held.starting = True
    before = held.progress[1] if held.progress else None
    held.progress = (int(message.progress), message.message if message.message is not None else before)
    wait = held.progress_stored_at + conf.PROCESS_PROGRESS_SECONDS - time.monotonic()
    if wait <= 0:
        await _store_progress(session, held)
    else:
        held.later("progress", wait, lambda: session.workers.spawn(_store_progress(session, held)))


async def log(session: WorkerSession, message: Log, size: int) -> None:
    """`job.log`."""
    held = _spoken_of(session, message)
    held.log_lines += 1
    if held.log_lines > conf.PROCESS_LOG_LINES:
        raise RpcError(Code.RATE, f"a log has at most {conf.PROCESS_LOG_LINES} lines")
    await session.workers.jobs.change(partial(outcomes.log, message.lease, message.level, message.message))


async def output(session: WorkerSession, message: Output, size: int) -> dict[str, Any]:
    """`job.output`: a part of an output that is delivered progressively."""
    part = _part(message.output_id, message.part, message.seq, size)
    await _begin(session, message)
    await session.workers.jobs.change(partial(_store_part, message.lease, part, session.token.pk))
    return {"stored": True}


async def checkpoint(session: WorkerSession, message: Checkpoint, size: int) -> dict[str, Any]:
    """`job.checkpoint`."""
    _check_size(message.data, size)
    await _begin(session, message)
    await session.workers.jobs.change(partial(outcomes.checkpoint, message.lease, message.data))
    return {"stored": True}


async def result(session: WorkerSession, message: Result, size: int) -> dict[str, Any]:
    """`job.result`: the first one wins, and again it is answered in the same way."""
    workers = session.workers
    parts = [_part(name, each, 0, size) for name, each in message.outputs.items()]
    held = workers.held.get(message.lease_id)
    offer = held.offer if held else await _offer_of(session, message.lease)
    errors = await _output_errors(session, offer, parts, size)
    _settle(held)
    if errors and not offer.warns:
        detail = f"the process {offer.identifier} delivered what its description does not allow"
        exception = problem(500, "Invalid result", detail, errors=errors)
        failing = partial(outcomes.fail, message.lease, exception, outcome="invalid result")
        await _end(session, message, workers.jobs.change(failing))
        answer: dict[str, Any] = {"status": "failed", "errors": errors}
    else:
        warning = "; ".join(f"{each['pointer']}: {each['detail']}" for each in errors)[:10_000]
        success = Success(message.lease, parts, warning)
        await _end(session, message, workers.jobs.change_together(_succeed_all, (success, session.token.pk)))
        answer = {"status": "successful"}
    return answer


async def fail(session: WorkerSession, message: Fail, size: int) -> dict[str, Any]:
    """`job.fail`."""
    _settle(session.workers.held.get(message.lease_id))
    failed = partial(outcomes.fail, message.lease, message.error.as_exception(500), retryable=message.retryable)
    change = await _end(session, message, session.workers.jobs.change(failed))
    return {"status": "failed" if change is None else change.status}


async def cancelled(session: WorkerSession, message: Started, size: int) -> None:
    """`job.cancelled`: it has ended what it was asked to end. Of a job that is wanted it is a failure."""
    held = session.workers.held.get(message.lease_id)
    if held is not None and held.session is session:
        if not held.cancelling:
            await session.workers.jobs.change(partial(outcomes.lose, message.lease, "worker ended it"))
        session.workers.held.remove(held)


def _spoken_of(session: WorkerSession, message: JobMessage) -> HeldJob:
    """The job that a notification is about. A worker that goes on with what it has not is asked to stop."""
    held = session.workers.held.get(message.lease_id)
    if held is None or held.session is not session or held.lease != message.lease:
        session.workers.end_job(session, message.lease, "leaseLost")
        raise LeaseError("lost")
    held.alive_at = time.monotonic()
    return held


async def _begin(session: WorkerSession, message: JobMessage) -> None:
    held = session.workers.held.get(message.lease_id)
    if held is not None and held.session is session:
        held.alive_at = time.monotonic()
        held.starting = True
        await _start(session, held)


def _store_start(session: WorkerSession, held: HeldJob) -> None:
    session.workers.spawn(_start(session, held))


async def _start(session: WorkerSession, held: HeldJob) -> None:
    if not held.started:
        held.started = True
        held.forget("start")
        await session.workers.jobs.change(partial(outcomes.start, held.lease, held.offer.run_seconds))


async def _store_progress(session: WorkerSession, held: HeldJob) -> None:
    if held.progress is None:
        return
    (percent, message), held.progress = held.progress, None
    held.progress_stored_at = time.monotonic()
    await _start(session, held)
    await session.workers.jobs.change(partial(outcomes.progress, held.lease, percent, message))


async def _offer_of(session: WorkerSession, lease: Lease) -> OfferedProcess:
    """Of a job that no worker of this process has: its lease may have ended, or its result was stored before."""

    def find() -> OfferedProcess:
        job = Job.objects.filter(pk=lease.job).first()
        if job is None:
            raise LeaseError("unknown")
        offers = offered_processes([job.process_id] if job.process_id else [])
        if job.process_id not in offers:
            raise LeaseError("ended")
        return offers[job.process_id]

    return await session.workers.jobs.read(find)


async def _output_errors(session: WorkerSession, offer: OfferedProcess, parts: Sequence[OutputPart], size: int) -> list[dict[str, Any]]:
    if size <= CHECKED_AT_ONCE:
        return offer.output_errors(parts)
    return await session.workers.work.run(session.id, offer.output_errors, parts)


def _part(name: str, part: Any, seq: int, size: int) -> OutputPart:
    try:
        read: OutputPart = part.as_output(name, seq)
    except ValueError as error:
        raise RpcError(Code.INVALID_PARAMS, str(error)) from None
    _check_size(read.value, size)
    return read


def _check_size(value: Any, size: int) -> None:
    most = conf.PROCESS_INLINE_BYTES
    if size > most and len(msgspec.json.encode(value)) > most:
        raise RpcError(Code.TOO_LARGE, f"a value in a message may have {most} bytes; upload it as a blob")


def _store_part(lease: Lease, part: OutputPart, token: int) -> JobChange:
    _check_blobs([part], lease, token)
    return outcomes.store_part(lease, part)


def _succeed_all(results: Sequence[tuple[Success, int]]) -> list[Succeeded | Exception | None]:
    """Results, each with the key of the token of its worker."""
    refused: dict[int, Exception] = {}
    for number, (success, token) in enumerate(results):
        try:
            _check_blobs(success.outputs, success.lease, token)
        except RpcError as error:
            refused[number] = error
    stored = iter(outcomes.succeed_all([success for number, (success, _) in enumerate(results) if number not in refused]))
    return [refused[number] if number in refused else next(stored) for number in range(len(results))]


def _check_blobs(parts: Sequence[OutputPart], lease: Lease, token: int) -> None:
    """Only blobs that workers with the same token uploaded, for this job."""
    for part in parts:
        if part.blob is not None:
            blob = Blob.objects.filter(pk=part.blob, token=token).first()
            if blob is None or blob.job_id not in (None, lease.job):
                raise RpcError(Code.INVALID_PARAMS, f"the blob {part.blob} of the output {part.output!r} was not uploaded with this token")


def _settle(held: HeldJob | None) -> None:
    """What was not stored of a job that has ended need not be."""
    if held is not None:
        held.forget("start")
        held.forget("progress")


async def _end(session: WorkerSession, message: JobMessage, storing: Coroutine[Any, Any, Stored]) -> Stored:
    """Store the end of a job. Its slot is free also where that came too late."""
    workers = session.workers
    held = workers.held.get(message.lease_id)
    try:
        stored = await storing
    except LeaseError:
        if held is not None and held.session is session:
            workers.held.remove(held)
        raise
    if held is not None and held.session is session:
        workers.held.remove(held)
    return stored


METHODS: dict[str, Method] = {
    "job.started": (Started, started),
    "job.progress": (Progress, progress),
    "job.log": (Log, log),
    "job.output": (Output, output),
    "job.checkpoint": (Checkpoint, checkpoint),
    "job.result": (Result, result),
    "job.fail": (Fail, fail),
    "job.cancelled": (Started, cancelled),
}
