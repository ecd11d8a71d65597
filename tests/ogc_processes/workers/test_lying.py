"""Workers that lie or are careless: each costs only its own jobs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from processes.json_rpc import Code
from processes.models import JobLog, JobOutput, Process, Registration, Worker
from processes.workers import worker_messages

from .conftest import Site
from .peer import Refused, lease_in, unknown_lease


async def test_values_that_databases_cannot_store(site: Site) -> None:
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    for value in ("a\0b", ["\0"], {"\0": 1}):
        with pytest.raises(Refused) as refused:
            await worker.call("job.result", {**lease_in(job), "outputs": {"greeting": {"value": value}}})
        assert refused.value.code == Code.INVALID_PARAMS and "NUL" in str(refused.value)
    await worker.call("job.result", {**lease_in(job), "outputs": {"greeting": {"value": "\\u0000"}}})
    assert (await JobOutput.objects.aget(job=submitted)).value == "\\u0000"


async def test_texts_that_databases_cannot_store(site: Site) -> None:
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    await worker.call("job.log", {**lease_in(job), "message": "a\0b"})
    await worker.call("job.fail", {**lease_in(job), "error": {"title": "\0", "detail": "it was \0", "inputs": [{"\0": "\0"}]}})
    row = await site.until(submitted, "failed")
    assert row.exception is not None and row.exception["detail"] == "it was \ufffd" and "\0" not in str(row.exception)
    assert (await JobLog.objects.aget()).message == "a\ufffdb"


@pytest.mark.parametrize("attempt", [-1, 10**30, 1.5, "1"])
async def test_attempts_that_are_none(site: Site, attempt: Any) -> None:
    worker = await site.worker("w", "greet")
    await site.submit()
    job = await worker.job()
    with pytest.raises(Refused) as refused:
        await worker.call("job.log", {**lease_in(job), "attempt": attempt, "message": "x"})
    assert refused.value.code == Code.INVALID_PARAMS
    await worker.call("job.result", {**lease_in(job), "outputs": {"greeting": {"value": "hello"}}})


async def test_a_worker_that_makes_up_processes(site: Site, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_NEW_OF_TOKEN = 2
    worker = await site.worker("w")
    for number in range(2):
        await worker.offer("greet", f"1.{number}")
        await worker.call("process.unregister", {"processID": "greet", "version": f"1.{number}"})
    with pytest.raises(Refused) as refused:
        await worker.offer("greet", "1.2")
    assert refused.value.code == Code.RATE and await Process.objects.acount() == 2
    assert (await worker.offer("greet", "1.1"))["role"] == "joined"
    await (await site.worker("other", token="another")).offer("other")


async def test_a_worker_that_leaves_during_its_hello(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()
    change = site.jobs.change

    async def slowly(operation: Any) -> Any:
        if getattr(operation, "func", None) is not worker_messages.connect:
            return await change(operation)
        stored = await change(operation)
        asked.set()
        await go_on.wait()
        return stored

    monkeypatch.setattr(site.jobs, "change", slowly)
    peer = await site.silent(name="early")
    await peer.send({"jsonrpc": "2.0", "id": 1, "method": "worker.hello", "params": {"protocol": "1.0", "workerID": "early"}})
    await asked.wait()
    assert (await Worker.objects.aget(name="early")).node
    await peer.close()
    async with asyncio.timeout(10):
        while (await Worker.objects.aget(name="early")).node:
            await asyncio.sleep(0.02)
    assert not await Registration.objects.aexists()


async def test_thousands_of_jobs_that_a_worker_says_to_have(site: Site) -> None:
    peer = await site.worker("w", resume=[unknown_lease() for _ in range(2000)])
    assert len(peer.welcome["abandoned"]) == 2000 and {each["reason"] for each in peer.welcome["abandoned"]} == {"unknown"}
