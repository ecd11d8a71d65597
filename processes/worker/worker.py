"""A worker: the processes of one program, and the connection that offers them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .job import Job
from .process import Process

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
