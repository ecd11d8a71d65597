"""The worker that the tests run as a program of its own."""

from __future__ import annotations

import asyncio
import os
from typing import NamedTuple

from processes.worker import BadInput, Job, JobFailed, Worker

worker = Worker("programs")


class Counted(NamedTuple):
    total: int
    text: str


def note(record: str, what: str) -> None:
    """A line in a file, in one write: who does what."""
    descriptor = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{what} {os.getpid()}\n".encode())
    os.close(descriptor)


def work(job: Job, record: str, seconds: float) -> str:
    note(record, f"begin {job.id}")
    job.progress(10, "at work")
    job.sleep(seconds)
    note(record, f"end {job.id}")
    return f"done by {os.getpid()}"


@worker.process(version="1.0.0")
def once(record: str, seconds: float = 0.0, *, job: Job) -> str:
    """Once. At most once."""
    return work(job, record, seconds)


@worker.process(version="1.0.0", retry="safe")
def safely(record: str, seconds: float = 0.0, *, job: Job) -> str:
    """Safely. May be begun again."""
    return work(job, record, seconds)


@worker.process(version="1.0.0")
async def count(text: str, *, job: Job) -> Counted:
    """Count. Asynchronous, with several outputs."""
    await asyncio.sleep(0)
    job.log("info", f"{len(text)} letters")
    return Counted(len(text), text)


@worker.process(version="1.0.0")
def copy(data: bytes, times: int = 1) -> bytes:
    """Copy. Binary values of any size."""
    return data * times


@worker.process(version="1.0.0")
def repeat(text: str, times: int) -> str:
    """Repeat. Texts of any size."""
    return text * times


@worker.process(version="1.0.0")
def fail(how: str) -> str:
    """Fail. In several ways."""
    if how == "input":
        raise BadInput("there is no such way", "how")
    if how == "job":
        raise JobFailed("not today", title="Closed", status=422)
    raise ValueError("it is broken")


@worker.process(version="1.0.0", continuous=True)
async def ticks(record: str, *, job: Job) -> None:
    """Ticks. Counts for as long as it runs, and goes on from where it was."""
    number = job.last_checkpoint or 0
    while True:
        number += 1
        note(record, f"tick {number}")
        job.checkpoint(number)
        await asyncio.sleep(0.05)
