"""The changes of a job as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from processes.jobs.outcomes import OutputPart
from streaming.engine.runtime import Runtime
from tests.ogc_processes.descriptions.examples import ECHO
from tests.ogc_processes.played_worker import Inputs, PlayedWorker, Work
from tests.ogc_processes.schemas import check

from .conftest import Api, describe, offer
from .test_execution import TEXT, never
from .test_jobs import ended


async def blocks(answer: Any) -> AsyncIterator[dict[str, str]]:
    """The events and comments of a stream, as their fields."""
    rest = ""
    async for piece in answer.streaming_content:
        rest += piece.decode()
        while "\n\n" in rest:
            block, _, rest = rest.partition("\n\n")
            yield {name: value.lstrip(" ") for name, _, value in (line.partition(":") for line in block.split("\n"))}


async def follow(api: Api, job: str, **headers: str) -> Any:
    answer = await api.get(f"/jobs/{job}/events", **headers)
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/event-stream"), answer
    return answer


async def test_each_change_of_a_job_is_an_event_until_its_end(api: Api, worker: PlayedWorker) -> None:
    go_on = asyncio.Event()

    async def slow(inputs: Inputs, work: Work) -> list[OutputPart]:
        await go_on.wait()
        await work.progress(40, "half way")
        await asyncio.sleep(0.1)
        return [OutputPart("text", "done")]

    await offer(worker, slow, "echo", description=ECHO)
    job = (await api.run("echo", TEXT))["jobID"]
    states: list[Any] = []
    async with asyncio.timeout(20):
        async for block in blocks(await follow(api, job)):
            if "data" in block:
                states.append(json.loads(block["data"]))
                check("statusInfo", states[-1])
                go_on.set()
    assert (states[-1]["status"], states[-1]["progress"]) == ("successful", 100)
    assert ("running", 40, "half way") in [(each["status"], each["progress"], each.get("message")) for each in states]
    assert states[-1]["updated"] == (await api.json(f"/jobs/{job}"))["updated"]


async def test_a_job_that_has_ended_is_one_event(api: Api, echoing: PlayedWorker) -> None:
    job = (await ended(api, (await api.run("echo", TEXT))["jobID"]))["jobID"]
    found = [block async for block in blocks(await follow(api, job)) if "data" in block]
    assert [json.loads(block["data"])["status"] for block in found] == ["successful"]


async def test_a_browser_that_knows_the_end_is_asked_not_to_come_again(api: Api, echoing: PlayedWorker) -> None:
    job = (await ended(api, (await api.run("echo", TEXT))["jobID"]))["jobID"]
    (event,) = [block async for block in blocks(await follow(api, job)) if "data" in block]
    assert (await api.get(f"/jobs/{job}/events", last_event_id=event["id"])).status_code == 204
    await follow(api, job, last_event_id="nonsense")


async def test_a_quiet_stream_is_kept_open_by_comments(api: Api, worker: PlayedWorker, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_EVENT_SECONDS = 0.1
    await offer(worker, never, "echo", description=ECHO)
    stream = blocks(await follow(api, (await api.run("echo", TEXT))["jobID"]))
    async with asyncio.timeout(20):
        while "" not in await anext(stream):
            pass
    await stream.aclose()


async def test_a_stream_ends_after_a_while(api: Api, worker: PlayedWorker, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_EVENT_MOST_SECONDS, settings.GEOSTREAM_PROCESS_EVENT_SECONDS = 1, 0.1
    await offer(worker, never, "echo", description=ECHO)
    async with asyncio.timeout(20):
        assert [block async for block in blocks(await follow(api, (await api.run("echo", TEXT))["jobID"]))]


async def test_there_are_so_many_streams_only(api: Api, runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_EVENT_STREAMS = 1
    await describe(runtime, "echo", description=ECHO)
    job = (await api.run("echo", TEXT))["jobID"]
    stream = blocks(await follow(api, job))
    await anext(stream)
    refused = await api.get(f"/jobs/{job}/events")
    assert refused.status_code == 503 and refused["Retry-After"]
    await stream.aclose()


async def test_one_client_does_not_take_the_streams_of_all(api: Api, user: Any, runtime: Runtime, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_EVENT_STREAMS_OF_CLIENT = 2
    await describe(runtime, "echo", description=ECHO)
    job = (await api.run("echo", TEXT))["jobID"]
    followed = [aiter(blocks(await follow(api, job))) for _ in range(2)]
    for each in followed:
        await anext(each)
    assert (await api.get(f"/jobs/{job}/events")).status_code == 429
    other = await follow(await user("ann"), job)
    await anext(aiter(blocks(other)))
    for each in followed:
        await each.aclose()
