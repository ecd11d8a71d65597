"""Jobs through real workers (async Python functions that do nothing, 16 at once each): milliseconds of a synchronous request over HTTP
(p50 and p99, one client), synchronous requests a second of 16 clients, and jobs a second from a full queue of 2,000, with the processor
time of the server for each; on SQLite and, with GEOSTREAM_TEST_POSTGRES_URL, on PostgreSQL; then with 100,000 finished jobs in the table.
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
from statistics import quantiles
from typing import Any

from .http import Poster
from .stack import Server, stack

WORKERS = (1, 4)
JOBS = 2000
REQUESTS = 300
CLIENTS = 16
FINISHED = 100_000
PATH = "/ogc/processes/nothing/execution"
BODY = json.dumps({"inputs": {"text": "hello"}, "response": "document"}).encode()


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


@contextmanager
def workers(server: Server, queue: Queue, environment: dict[str, str], token: str, count: int) -> Iterator[None]:
    """So many workers, each a process."""
    command = [
        sys.executable,
        "-m",
        "processes.worker",
        "benchmarks.process_worker:worker",
        "--concurrency",
        "16",
        "--log-level",
        "WARNING",
    ]
    own = {**environment, "GEOSTREAM_WORKER_URL": f"ws://127.0.0.1:{server.port}/ws/processes", "GEOSTREAM_WORKER_TOKEN": token}
    running = [subprocess.Popen([*command, "--name", f"w{number}"], env=own) for number in range(count)]
    try:
        while not queue.ask("online", count):
            time.sleep(0.05)
        yield
    finally:
        for each in running:
            each.terminate()
        for each in running:
            each.wait(20)


async def requests(server: Server, token: str, clients: int, count: int) -> tuple[list[float], float]:
    """Synchronous requests: how long each took, and how long all."""
    posters = [await Poster(server.port, PATH, token).open() for _ in range(clients)]
    took: list[float] = []

    async def ask(poster: Poster) -> None:
        for _ in range(count // clients):
            began = time.perf_counter()
            await poster.post(BODY)
            took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*map(ask, posters))
    seconds = time.perf_counter() - began
    for poster in posters:
        await poster.close()
    return took, seconds


def measure(server: Server, queue: Queue, database: str, count: int, finished: int, share: float) -> dict[str, Any]:
    """One row."""
    token = server.token()
    asyncio.run(requests(server, token, 1, 20))
    centiles = quantiles(asyncio.run(requests(server, token, 1, int(REQUESTS * share)))[0], n=100)
    many = int(REQUESTS * 2 * share)
    cpu = server.cpu
    _, seconds = asyncio.run(requests(server, token, CLIENTS, many))
    request_cpu = server.cpu - cpu
    jobs = int(JOBS * share)
    cpu = server.cpu
    drained = queue.ask("drain", jobs)
    return {
        "database": database,
        "workers": count,
        "finished jobs": finished,
        "sync p50 ms": round(centiles[49] * 1000, 1),
        "sync p99 ms": round(centiles[98] * 1000, 1),
        "sync/s": round(many / seconds),
        "CPU ms/request": round(request_cpu * 1000 / many, 2),
        "jobs/s": round(jobs / drained),
        "CPU ms/job": round((server.cpu - cpu) * 1000 / jobs, 2),
    }


def run(share: float) -> Iterator[dict[str, Any]]:
    """All rows, as they are measured."""
    postgres = os.environ.get("GEOSTREAM_TEST_POSTGRES_URL", "")
    for database, url in (("SQLite", ""), ("PostgreSQL", postgres)):
        if database == "PostgreSQL" and not url:
            continue
        if url:
            _empty(url)
        settings = {"GEOSTREAM_PROCESS_QUEUE": "1000000", **({"DATABASE_URL": url} if url else {})}
        with ExitStack() as started:
            server = started.enter_context(stack(**settings))
            names = {
                "DJANGO_SETTINGS_MODULE": "geostream.settings",
                "GEOSTREAM_DATA_DIR": str(server.folder),
                "REDIS_URL": server.redis_url,
            }
            environment = {**os.environ, **names, **settings}
            queue = Queue(environment)
            started.callback(queue.end)
            token = queue.ask("token")
            for count in WORKERS:
                with workers(server, queue, environment, token, count):
                    yield measure(server, queue, database, count, 0, share)
            with workers(server, queue, environment, token, WORKERS[-1]):
                queue.ask("finished", int(FINISHED * share))
                yield measure(server, queue, database, WORKERS[-1], int(FINISHED * share), share)


def _empty(url: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as database:
        database.execute("DROP SCHEMA public CASCADE")
        database.execute("CREATE SCHEMA public")
