"""Keeps a worker connected: says hello, offers its processes, takes jobs, says that it lives, and comes back after every interruption."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any

from processes.json_rpc import Code, RpcError

from .blobs import Blobs
from .connection import FINAL_CODES, Connection, Offline, connected
from .errors import WorkerRefused
from .running import RunningJob

if TYPE_CHECKING:
    from .worker import Worker

logger = logging.getLogger("processes.worker")

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 60.0
"""Between two attempts to connect."""
STABLE_SECONDS = 10.0
"""A connection that held for so long was a success."""
LATE = 0.5
"""The part of the time for an acknowledgement after which a job is refused: the server may give it to another worker before it reads that
this one has it."""


class Serving:
    """One run of a worker, over as many connections as it takes."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._instance = uuid.uuid4().hex
        self._running: dict[str, RunningJob] = {}
        self._connection: Connection | None = None
        self._online = asyncio.Event()
        self._stopping = asyncio.Event()
        self._reconnect_after: float | None = None
        self._concurrency = worker.concurrency
        self._clock = 0.0
        """The server's time less ours, in seconds."""
        self._ack_seconds = self._heartbeat_seconds = 10.0
        self.executor = ThreadPoolExecutor(worker.concurrency, thread_name_prefix="job")
        self.blobs = Blobs("", worker.token, 0)
        self.inline_bytes = self.frame_bytes = 0
        self.ready = asyncio.Event()
        """Set once all processes are offered."""

    # -- what jobs need --------------------------------------------------------

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """The server's answer; waits while there is no connection, and asks again when it broke before the answer."""
        while True:
            await self._online.wait()
            connection = self._connection
            try:
                if connection is None:
                    raise Offline
                return await connection.call(method, params)
            except Offline:
                if params["leaseID"] not in self._running:
                    raise
                await asyncio.sleep(0.05)

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        """Say something; `Offline` while there is no connection."""
        if self._connection is None or not self._online.is_set():
            raise Offline
        await self._connection.notify(method, params)

    async def is_current(self, params: dict[str, Any]) -> bool:
        """Whether the server has not given a job to another worker because this one did not acknowledge it in time."""
        if not self._late(params):
            return True
        try:
            return self._connection is not None and params["leaseID"] in await self._heartbeat(self._connection)
        except Offline:
            return False

    # -- life ------------------------------------------------------------------

    def stop(self) -> None:
        """Take no more jobs, and end with those that are being done."""
        self._stopping.set()

    async def serve(self, drain_seconds: float) -> None:
        """Until `stop`. `WorkerRefused` if the server does not take the worker."""
        stopping = asyncio.create_task(self._stopping.wait())
        serving = asyncio.create_task(self._stay_connected())
        try:
            await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
            await self._drain(drain_seconds)
        finally:
            for task in (stopping, serving):
                task.cancel()
            await asyncio.wait({stopping, serving})
            for job in list(self._running.values()):
                job.cancel("leaseLost")
            self.executor.shutdown(wait=False, cancel_futures=True)

    async def _drain(self, seconds: float) -> None:
        if self._running:
            logger.info("%d jobs are done to their end, for %g seconds at most", len(self._running), seconds)
            with contextlib.suppress(Offline):
                await self.notify("worker.drain", {"deadlineSeconds": seconds})
            for job in self._running.values():
                if job.continuous:
                    job.hand_over()
            await asyncio.wait([asyncio.create_task(job.wait()) for job in self._running.values()], timeout=seconds)

    async def _stay_connected(self) -> None:
        attempt = 0
        while True:
            began = time.monotonic()
            try:
                async with connected(self._worker.url, self._worker.token, self._handle) as connection:
                    await self._be_connected(connection)
            except Offline as offline:
                if offline.code in FINAL_CODES:
                    raise WorkerRefused(str(offline), offline.code) from None
                logger.warning("%s", offline)
            finally:
                self._connection = None
                self._online.clear()
            attempt = 0 if time.monotonic() - began > STABLE_SECONDS else attempt + 1
            await asyncio.sleep(self._pause(attempt))

    def _pause(self, attempt: int) -> float:
        if self._reconnect_after is not None:
            pause, self._reconnect_after = self._reconnect_after, None
            return pause * (1 + random.random() / 2)
        return random.uniform(0.1, 1.0) * min(FIRST_SECONDS * 2.0 ** min(max(attempt - 1, 0), 16), LONGEST_SECONDS)

    async def _be_connected(self, connection: Connection) -> None:
        closed = asyncio.create_task(connection.closed())
        living = asyncio.create_task(self._live(connection))
        try:
            await asyncio.wait({closed, living}, return_when=asyncio.FIRST_COMPLETED)
            for task in (living, closed):
                if task.done():
                    task.result()
        finally:
            living.cancel()
            closed.cancel()
            await asyncio.wait({living, closed})

    async def _live(self, connection: Connection) -> None:
        try:
            await self._hello(connection)
            self._connection = connection
            self._online.set()
            for process in list(self._worker.processes.values()):
                registered = await connection.call("process.register", self._registration(process))
                for warning in registered["warnings"]:
                    logger.warning("%s: %s", process.id, warning)
        except RpcError as error:
            if error.code in (Code.RATE, Code.INTERNAL, Code.DRAINING):
                raise Offline(str(error)) from None
            raise WorkerRefused(f"the server refused this worker: {error}", error.code, error.data) from None
        self.ready.set()
        logger.info("%s offers %s at %s", self._worker.name, ", ".join(self._worker.processes), self._worker.url)
        while self._reconnect_after is None:
            await self._heartbeat(connection)
            await asyncio.sleep(self._heartbeat_seconds)

    def _registration(self, process: Any) -> dict[str, Any]:
        return {**process.registration, "concurrency": min(process.concurrency or self._concurrency, self._concurrency)}

    async def _hello(self, connection: Connection) -> None:
        resume = [{**job.lease, "state": job.state, "progress": job.percent} for job in self._running.values()]
        hello = {
            "protocol": "1.0",
            "workerID": self._worker.name,
            "instanceID": self._instance,
            "software": {"name": "geostream-worker", "version": "1"},
            "concurrency": self._worker.concurrency,
            "features": ["progress", "cancel", "partial", "blob"],
            "resume": resume,
        }
        welcome = await connection.call("worker.hello", hello)
        self._clock = datetime.fromisoformat(welcome["serverTime"]).timestamp() - time.monotonic()
        self._heartbeat_seconds, self._ack_seconds = welcome["heartbeatSeconds"], welcome["ackSeconds"]
        self._concurrency = min(self._worker.concurrency, welcome.get("concurrency", self._worker.concurrency))
        limits = welcome["limits"]
        self.inline_bytes, self.frame_bytes = limits["inlineBytes"], limits["frameBytes"]
        self.blobs = Blobs(welcome["blobURL"], self._worker.token, limits["blobBytes"])
        resumed = {each["leaseID"] for each in welcome["resumed"]}
        for lease, job in list(self._running.items()):
            if lease not in resumed:
                job.cancel("leaseLost")

    async def _heartbeat(self, connection: Connection) -> set[str]:
        """Renew the leases; returns those that hold."""
        jobs = [{**job.lease, "progress": job.percent} for job in self._running.values()]
        try:
            answer = await connection.call("worker.heartbeat", {"jobs": jobs, "free": self._free})
        except RpcError as error:
            logger.warning("the server did not take the heartbeat: %s", error)
            return set()
        for each in answer["lost"]:
            job = self._running.get(each["leaseID"])
            if job is not None and job.state == "running":
                job.cancel("dismissed" if each["reason"] == "ended" else "leaseLost")
        return {each["leaseID"] for each in answer["renewed"]}

    # -- what the server says --------------------------------------------------

    @property
    def _free(self) -> int:
        """Jobs that are only waiting for the server to take their result need no room."""
        return max(0, self._concurrency - sum(job.state == "running" for job in self._running.values()))

    async def _handle(self, method: str, params: dict[str, Any]) -> Any:
        if method == "job.execute":
            return self._execute(params)
        if method == "job.cancel":
            return self._cancel(params)
        if method == "server.drain":
            self._reconnect_after = float(params.get("reconnectAfterSeconds") or 1.0)
            if self._connection is not None:
                asyncio.get_running_loop().call_later(self._reconnect_after * random.random(), self._leave, self._connection)
            return None
        raise RpcError(Code.METHOD_NOT_FOUND, f"there is no method {method!r}")

    def _leave(self, connection: Connection) -> None:
        task = asyncio.ensure_future(connection.close())
        self._leaving = task

    def _execute(self, params: dict[str, Any]) -> dict[str, Any]:
        process = self._worker.processes.get(params["processID"])
        if self._stopping.is_set():
            raise RpcError(Code.DRAINING, "this worker is about to end")
        if process is None or process.version != params["version"]:
            raise RpcError(Code.BUSY, f"this worker does not offer {params['processID']} {params['version']}")
        if self._late(params):
            raise RpcError(Code.BUSY, "the job was read too late: another worker may have it", {"late": True})
        if params["leaseID"] not in self._running:
            if not self._free:
                raise RpcError(Code.BUSY, "this worker has no room")
            self._running[params["leaseID"]] = RunningJob(self, process, params, self._ended)
        return {"accepted": True}

    def _late(self, params: dict[str, Any]) -> bool:
        """Whether the server may have taken the job for not acknowledged: this program, or the network, stood still."""
        sent = datetime.fromisoformat(params["sent"]).timestamp() if "sent" in params else None
        return sent is not None and time.monotonic() + self._clock - sent > self._ack_seconds * LATE

    def _cancel(self, params: dict[str, Any]) -> dict[str, Any]:
        job = self._running.get(params["leaseID"])
        if job is None:
            return {"state": "unknown"}
        job.cancel(params.get("reason", "dismissed"))
        return {"state": "cancelling"}

    def _ended(self, job: RunningJob) -> None:
        self._running.pop(job.lease["leaseID"], None)
