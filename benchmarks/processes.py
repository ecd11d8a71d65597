"""Jobs through real workers (async Python functions that do nothing, 16 at once each), on SQLite and on a PostgreSQL that waits for the
disk at each commit (fsync on) or does not; then with 100,000 finished jobs in the table. One client: milliseconds of a synchronous request
(p50, p99), and from an asynchronous one until its result is there (p50; the job is looked at every 5 ms). 16 clients: synchronous
requests a second. Then jobs a second from a full queue of 2,000. Processor time: ms for each, and what of it the server, the database's
own processes and the workers used. With GEOSTREAM_PYGEOAPI (the Python of an environment with pygeoapi and gunicorn) its
hello-world is beside it: one process with 16 threads, jobs in TinyDB.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from .http import Caller
from .postgres import Postgres, postgres, tools
from .process_pygeoapi import pygeoapi
from .stack import Server, processor_seconds, stack

WORKERS = (1, 4)
JOBS = 2000
REQUESTS = 300
CLIENTS = 16
FINISHED = 100_000
LOOK_SECONDS = 0.005
PROCESS = "/ogc/processes/nothing"
BODY = {"inputs": {"name": "hello"}, "response": "document"}


class Queue:
    """`process_queue.py` as a process of its own."""

    def __init__(self, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "benchmarks.process_queue"]
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *what: Any) -> Any:
        """The answer of one of its commands."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait(10)


class Use:
    """The processor time of everybody who has a part in a job, in seconds."""

    def __init__(self, server: Server, database: Postgres | None, workers: list[int]) -> None:
        self._server, self._database, self._workers = server, database, workers

    def now(self) -> list[float]:
        """Of the server, the database's own processes and the workers."""
        return [self._server.cpu, self._database.cpu if self._database else 0.0, processor_seconds(*self._workers)]

    def since(self, before: list[float], name: str, count: int) -> dict[str, Any]:
        """Milliseconds for each of so many, as cells of a row."""
        each = [(now - then) * 1000 / count for now, then in zip(self.now(), before, strict=True)]
        return {f"CPU ms/{name}": round(sum(each), 2), "of that": " + ".join(f"{part:.2f}" for part in each)}


@contextmanager
def workers(server: Server, queue: Queue, environment: dict[str, str], token: str, count: int) -> Iterator[list[int]]:
    """So many workers, each a process."""
    options = ["--concurrency", "16", "--log-level", "WARNING"]
    command = [sys.executable, "-m", "processes.worker", "benchmarks.process_worker:worker", *options]
    own = {**environment, "GEOSTREAM_WORKER_URL": f"ws://127.0.0.1:{server.port}/ws/processes", "GEOSTREAM_WORKER_TOKEN": token}
    running = [subprocess.Popen([*command, "--name", f"w{number}"], env=own) for number in range(count)]
    try:
        while not queue.ask("online", count):
            time.sleep(0.05)
        yield [each.pid for each in running]
    finally:
        for each in running:
            each.terminate()
        for each in running:
            each.wait(20)


async def synchronous(port: int, path: str, token: str, clients: int, count: int) -> tuple[list[float], float]:
    """Requests that wait for their result: how long each took, and how long all."""
    callers = [await Caller(port, token).open() for _ in range(clients)]
    took: list[float] = []

    async def ask(caller: Caller) -> None:
        for _ in range(count // clients):
            began = time.perf_counter()
            await caller.call("POST", path, BODY)
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*map(ask, callers))
    seconds = time.perf_counter() - began
    for caller in callers:
        await caller.close()
    return took, seconds


async def asynchronous(port: int, path: str, jobs: str, token: str, count: int) -> list[float]:
    """How long it takes from the request until the result is there."""
    caller = await Caller(port, token).open()
    took = []
    for _ in range(count):
        began = time.perf_counter()
        answer = await caller.call("POST", path, BODY, prefer="respond-async")
        job = f"{jobs}/{answer.location.rpartition('/')[2]}"
        while (await caller.call("GET", job)).body["status"] != "successful":
            await asyncio.sleep(LOOK_SECONDS)
        await caller.call("GET", f"{job}/results?f=json")
        took.append(time.perf_counter() - began)
    await caller.close()
    return took


def requests(port: int, process: str, jobs: str, token: str, share: float, use: Use | None) -> dict[str, Any]:
    """What one row says of requests."""
    path = f"{process}/execution"
    asyncio.run(synchronous(port, path, token, 1, 20))
    centiles = quantiles(asyncio.run(synchronous(port, path, token, 1, int(REQUESTS * share)))[0], n=100)
    looked_for = asyncio.run(asynchronous(port, path, jobs, token, int(REQUESTS * share / 3)))
    many = int(REQUESTS * 2 * share) // CLIENTS * CLIENTS
    before = use.now() if use else []
    _, seconds = asyncio.run(synchronous(port, path, token, CLIENTS, many))
    return {
        "sync p50 ms": round(centiles[49] * 1000, 1),
        "sync p99 ms": round(centiles[98] * 1000, 1),
        "async p50 ms": round(median(looked_for) * 1000, 1),
        "sync/s": round(many / seconds),
        **(use.since(before, "request", many) if use else {}),
    }


def drained(queue: Queue, jobs: int, use: Use) -> dict[str, Any]:
    """What one row says of a full queue."""
    queue.ask("fill", jobs)
    before = use.now()
    seconds = queue.ask("drain")
    used = use.since(before, "job", jobs)
    return {"jobs/s": round(jobs / seconds), "CPU ms/job": used["CPU ms/job"], "of it": used["of that"]}


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows, as they are measured."""
    yield from _rows("SQLite", None, share)
    if (folder := tools()) is not None:
        for fsync in (False, True):
            with postgres(folder, fsync) as database:
                yield from _rows(f"PostgreSQL, fsync {'on' if fsync else 'off'}", database, share)
    if python := os.environ.get("GEOSTREAM_PYGEOAPI"):
        with pygeoapi(Path(python)) as port:
            row = requests(port, "/processes/hello-world", "/jobs", "", share, None)
            yield {"database": "pygeoapi", "workers": "", "finished jobs": "", **row}


def _rows(name: str, database: Postgres | None, share: float) -> Iterator[dict[str, Any]]:
    settings = {"GEOSTREAM_PROCESS_QUEUE": "1000000", **({"DATABASE_URL": database.url} if database else {})}
    with ExitStack() as started:
        server = started.enter_context(stack(**settings))
        names = {"DJANGO_SETTINGS_MODULE": "geostream.settings", "GEOSTREAM_DATA_DIR": str(server.folder), "REDIS_URL": server.redis_url}
        environment = {**os.environ, **names, **settings}
        queue = Queue(environment)
        started.callback(queue.end)
        worker_token = queue.ask("token")
        for count, finished in (*((count, 0) for count in WORKERS), (WORKERS[-1], int(FINISHED * share))):
            with workers(server, queue, environment, worker_token, count) as pids:
                if finished:
                    queue.ask("finished", finished)
                use = Use(server, database, pids)
                yield {
                    "database": name,
                    "workers": count,
                    "finished jobs": finished,
                    **requests(server.port, PROCESS, "/ogc/jobs", server.token(), share, use),
                    **drained(queue, int(JOBS * share), use),
                }
