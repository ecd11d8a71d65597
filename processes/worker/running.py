"""A job that is being done: its function, and what is said of it, which is kept until the server has it.

The connection may break and come back meanwhile: nothing of the function is noticed of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime
from typing import Any, Literal, Protocol

from processes.json_rpc import Code, RpcError

from .blobs import Blobs
from .connection import Offline
from .errors import JobCancelled, JobFailed
from .job import Job, Level
from .parts import Encoded, encode_output, place, read_inputs
from .process import Process

logger = logging.getLogger("processes.worker")

PROGRESS_SECONDS = 0.5
"""How often progress is sent at most."""
MOST_WAITING = 32
"""Parts of outputs and lines of the log that wait to be sent, before the function waits."""
RETRY_SECONDS = 1.0

_OVER = {Code.NO_SUCH_JOB, Code.LEASE_LOST, Code.JOB_ENDED}
_AGAIN = {Code.RATE, Code.INTERNAL}


class Server(Protocol):
    """What a job needs of the worker."""

    executor: ThreadPoolExecutor
    blobs: Blobs
    inline_bytes: int
    frame_bytes: int

    async def is_current(self, params: dict[str, Any]) -> bool:
        """Whether a job is surely this worker's, also if the program stood still since it was given it."""

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """The server's answer; waits while there is no connection."""

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        """Say something; `Offline` while there is no connection."""


class RunningJob:
    """One job. `state` is what a worker that connects again says of it."""

    def __init__(self, server: Server, process: Process, params: dict[str, Any], ended: Callable[[RunningJob], None]) -> None:
        self.lease = {name: params[name] for name in ("jobID", "attempt", "leaseID")}
        self.state: Literal["running", "done", "failed"] = "running"
        self.continuous = process.continuous
        self.percent = 0
        self._server = server
        self._process = process
        self._params = params
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._function: asyncio.Future[Any] | None = None
        self._waiting: deque[Callable[[], Any]] = deque()
        self._room = threading.BoundedSemaphore(MOST_WAITING)
        self._progress: tuple[int, str | None] | None = None
        self._progress_at = 0.0
        self._wake = asyncio.Event()
        self._abandoned = self._handed_over = False
        self._parts = 0
        self.job = Job(
            params["jobID"],
            process=process.id,
            attempt=params["attempt"],
            user=params.get("context", {}).get("subject"),
            deadline=datetime.fromisoformat(params["deadline"]) if params.get("deadline") else None,
            last_checkpoint=params.get("checkpoint"),
            reports=self,
        )
        self._task = asyncio.create_task(self._run())

    def cancel(self, reason: str) -> None:
        """It is not wanted any more: the function is asked to end."""
        self._abandoned = True
        self.job.cancel(reason)
        self._wake.set()
        if self._process.is_async and self._function is not None:
            self._function.cancel()

    def hand_over(self) -> None:
        """The worker ends, and the job does not: another worker is to go on with it."""
        self._handed_over = True
        self.job.cancel("workerEnds")
        if self._process.is_async and self._function is not None:
            self._function.cancel()

    async def wait(self) -> None:
        """Until it has ended."""
        await asyncio.shield(self._task)

    # -- what the function says, in its thread ---------------------------------

    def progress(self, percent: int, message: str | None) -> None:
        """See `JobReports`."""
        self.percent = percent
        self._loop.call_soon_threadsafe(self._set_progress, percent, message)

    def log(self, level: Level, text: str) -> None:
        """See `JobReports`."""
        self._put(lambda: self._server.notify("job.log", {**self.lease, "level": level, "message": text[:10_000]}))

    def partial(self, output: str, value: Any) -> None:
        """See `JobReports`."""
        encoded = encode_output(self._process.signature.outputs[output], value)
        sequence, self._parts = self._parts, self._parts + 1

        async def send() -> None:
            part = (await place([encoded], self._server.blobs, self._server.inline_bytes, self._server.frame_bytes))[output]
            await self._server.call("job.output", {**self.lease, "outputID": output, "seq": sequence, "part": part, "last": False})

        self._put(send)

    def checkpoint(self, data: Any) -> None:
        """See `JobReports`."""
        self._put(lambda: self._server.call("job.checkpoint", {**self.lease, "data": data}))

    def _put(self, send: Callable[[], Any]) -> None:
        in_loop = threading.get_ident() == self._loop_thread
        while not self._room.acquire(blocking=not in_loop, timeout=None if in_loop else 0.5) and not in_loop:
            self.job.check()
        self._loop.call_soon_threadsafe(self._append, send)

    # -- on the loop -----------------------------------------------------------

    def _append(self, send: Callable[[], Any]) -> None:
        self._waiting.append(send)
        self._wake.set()

    def _set_progress(self, percent: int, message: str | None) -> None:
        before = self._progress[1] if self._progress else None
        self._progress = (percent, message if message is not None else before)
        self._wake.set()

    async def _run(self) -> None:
        sending = asyncio.create_task(self._send_reports())
        try:
            method, params = await self._outcome()
            if method != "job.cancelled":
                self.state = "done" if method == "job.result" else "failed"
                await self._drained(sending)
            await self._deliver(method, params)
        except Exception:
            logger.exception("the job %s could not be ended well", self.lease["jobID"])
        finally:
            sending.cancel()
            self._ended(self)

    async def _outcome(self) -> tuple[str, dict[str, Any]]:
        try:
            if not await self._server.is_current(self._params):
                self.cancel("leaseLost")
            self.job.check()
            await self._started()
            inputs = await read_inputs(self._process, self._params.get("inputs", {}), self._server.blobs)
            arguments = self._process.arguments(inputs, self.job)
            self.job.check()
            returned = await self._call(arguments)
            encoded = [
                encode_output(self._process.signature.outputs[name], value, self._params.get("outputs", {}).get(name))
                for name, value in self._process.outputs(returned).items()
            ]
            return "job.result", {"outputs": await self._placed(encoded)}
        except (JobCancelled, asyncio.CancelledError):
            if self._handed_over:
                return _failed(JobFailed("its worker has ended", retryable=True))
            return ("job.cancelled", {}) if self._abandoned else _failed(JobFailed("the process ended itself"))
        except JobFailed as error:
            return _failed(error)
        except Exception as error:
            logger.exception("the process %s failed", self._process.id)
            return _failed(JobFailed(str(error)[:2000] or type(error).__name__, title=type(error).__name__))

    async def _started(self) -> None:
        with contextlib.suppress(Offline):
            await self._server.notify("job.started", self.lease)

    async def _placed(self, encoded: list[Encoded]) -> dict[str, Any]:
        return await place(encoded, self._server.blobs, self._server.inline_bytes, self._server.frame_bytes)

    async def _call(self, arguments: dict[str, Any]) -> Any:
        if self._process.is_async:
            self._function = asyncio.ensure_future(self._process.function(**arguments))
        else:
            context = copy_context()
            call = lambda: context.run(self._process.function, **arguments)  # noqa: E731
            self._function = self._loop.run_in_executor(self._server.executor, _without_stop_iteration, call)
        return await self._function

    async def _send_reports(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while not self._abandoned and (self._waiting or self._progress):
                if self._waiting:
                    await self._send_next()
                else:
                    await self._send_progress()

    async def _send_next(self) -> None:
        try:
            await self._waiting[0]()
        except Offline:
            await asyncio.sleep(RETRY_SECONDS / 4)
            return
        except RpcError as error:
            if error.code in _OVER:
                self.cancel("leaseLost")
                return
            if error.code in _AGAIN:
                await asyncio.sleep(RETRY_SECONDS)
                return
            logger.warning("the server refused what was said of the job %s: %s", self.lease["jobID"], error)
        except JobFailed as error:
            logger.warning("a part of the job %s could not be stored: %s", self.lease["jobID"], error)
        self._waiting.popleft()
        with contextlib.suppress(ValueError):  # of an async function that did not wait for room
            self._room.release()

    async def _send_progress(self) -> None:
        if (wait := self._progress_at + PROGRESS_SECONDS - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        if self._progress is None or self._waiting:
            return
        (percent, message), self._progress = self._progress, None
        self._progress_at = time.monotonic()
        with contextlib.suppress(Offline):  # a newer one comes
            await self._server.notify(
                "job.progress", {**self.lease, "progress": percent, **({} if message is None else {"message": message})}
            )

    async def _drained(self, sending: asyncio.Task[None]) -> None:
        """Until what was said before the end is stored; the progress before it is of no interest any more."""
        self._progress = None
        while self._waiting and not self._abandoned:
            await asyncio.sleep(0.01)

    async def _deliver(self, method: str, params: dict[str, Any]) -> None:
        while not self._abandoned:
            try:
                answer = await self._server.call(method, {**self.lease, **params})
                logger.info("job %s: %s", self.lease["jobID"], answer["status"])
                return
            except RpcError as error:
                if error.code in _OVER:
                    logger.info("job %s: nobody waits for its result: %s", self.lease["jobID"], error)
                    return
                if error.code in _AGAIN:
                    await asyncio.sleep(RETRY_SECONDS)
                elif method == "job.result":
                    method, params = _failed(JobFailed(f"the server refused the result: {error}", title="Invalid result"))
                else:
                    logger.error("job %s: the server refused its failure: %s", self.lease["jobID"], error)
                    return
        with contextlib.suppress(Offline):
            await self._server.notify("job.cancelled", self.lease)


def _failed(error: JobFailed) -> tuple[str, dict[str, Any]]:
    return "job.fail", {"error": error.as_error(), "retryable": error.retryable}


def _without_stop_iteration(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except StopIteration as error:  # a future cannot have it
        raise RuntimeError("StopIteration") from error
