"""A worker: the processes of one program, and the connection that offers them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .errors import WorkerRefused
from .job import Job
from .process import Process
from .serving import Serving

Function = TypeVar("Function", bound=Callable[..., Any])


class Worker:
    """Offers functions as processes. `url` and `token` default to GEOSTREAM_WORKER_URL and GEOSTREAM_WORKER_TOKEN.

    A worker's name must be the same each time it starts, and no other worker with the same token may have it.
    `concurrency` is how many jobs it does at once.
    """

    def __init__(self, name: str = "", *, url: str = "", token: str = "", concurrency: int = 0) -> None:
        self.name = name or f"{socket.gethostname()}-{os.getpid()}"
        self.url = url or os.environ.get("GEOSTREAM_WORKER_URL", "")
        self.token = token or os.environ.get("GEOSTREAM_WORKER_TOKEN", "")
        self.concurrency = concurrency or os.cpu_count() or 1
        self.processes: dict[str, Process] = {}
        self._serving: Serving | None = None

    def process(self, *, version: str, **options: Any) -> Callable[[Function], Function]:
        """A decorator: offer the function. `options` are those of `Process`."""

        def offer(function: Function) -> Function:
            self.add(Process(function, version=version, **options))
            return function

        return offer

    def add(self, process: Process) -> None:
        """Offer a process."""
        self.processes[process.id] = process

    def call(self, identifier: str, inputs: Mapping[str, Any], job: Job | None = None) -> dict[str, Any]:
        """Do a job here and now, without a server, and return its outputs by their ids: what tests of processes do.

        `inputs` has one value for each input, as JSON or as Python has it. `BadInput` as for clients.
        """
        return self.processes[identifier].call(inputs, job)

    async def serve(self, drain_seconds: float = 30.0) -> None:
        """Offer the processes until `stop` is called, and do the jobs that come. `WorkerRefused` if the server does not take it."""
        if not self.url or not self.token:
            raise WorkerRefused("a worker needs the address of a server (GEOSTREAM_WORKER_URL) and a token (GEOSTREAM_WORKER_TOKEN)")
        self._serving = Serving(self)
        await self._serving.serve(drain_seconds)

    def stop(self) -> None:
        """Have `serve` return when the jobs that are being done have ended."""
        if self._serving is not None:
            self._serving.stop()

    @property
    def ready(self) -> asyncio.Event:
        """Set once the server knows all processes, while `serve` runs."""
        assert self._serving is not None
        return self._serving.ready

    def run(self, drain_seconds: float = 30.0) -> None:
        """`serve` as a program of its own: until Ctrl-C or SIGTERM, of which the second one does not wait for jobs.

        A server that does not take the worker ends the program with one line and the exit code 1. Without a log of its own, the program
        shows warnings of the worker only: `logging.basicConfig(level=logging.INFO)` before shows what it does.
        """
        with contextlib.suppress(KeyboardInterrupt):
            try:
                asyncio.run(self._run(drain_seconds))
            except WorkerRefused as refusal:
                sys.exit(f"The server does not take this worker: {refusal}")

    async def _run(self, drain_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, self._interrupted, each)
        await self.serve(drain_seconds)

    def _interrupted(self, each: signal.Signals) -> None:
        asyncio.get_running_loop().remove_signal_handler(each)
        self.stop()
