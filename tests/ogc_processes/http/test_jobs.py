"""Jobs: the list with its filters and pages, the state of each, dismissing, and whose they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from processes.jobs.service import Jobs
from processes.models import Job
from streaming.engine.runtime import Runtime
from tests.ogc_processes.descriptions.examples import ECHO
from tests.ogc_processes.played_worker import Failure, Inputs, PlayedWorker, Work
from tests.ogc_processes.rows import make_process, submitted

from .conftest import SITE, Api, describe, offer
from .test_documents import links
from .test_execution import TEXT, E, never

OGC = "http://www.opengis.net/def/rel/ogc/1.0/"


async def ended(api: Api, job: str) -> Any:
    """The document of a job that has ended."""
    async with asyncio.timeout(20):
        while (found := await api.json(f"/jobs/{job}"))["status"] in ("accepted", "running"):
            await asyncio.sleep(0.01)
    return found


async def begun(api: Api, job: str) -> Any:
    async with asyncio.timeout(20):
        while (found := await api.json(f"/jobs/{job}"))["status"] == "accepted":
            await asyncio.sleep(0.01)
    return found


# -- the state ------------------------------------------------------------------------


async def test_a_job_goes_from_accepted_to_successful(api: Api, echoing: PlayedWorker) -> None:
    job = await ended(api, (await api.run("echo", TEXT))["jobID"])
    assert (job["status"], job["progress"]) == ("successful", 100)
    assert job["created"] <= job["started"] <= job["finished"] <= job["updated"]
    assert job["id"] == job["jobID"] and job["processingEntityType"] == "ogc-api-processes"


@pytest.mark.parametrize("rel", ["self", "status", "monitor"])
async def test_a_job_links_to_itself(api: Api, runtime: Runtime, rel: str) -> None:
    await describe(runtime, "echo", description=ECHO)
    job = await api.run("echo", TEXT)
    assert links(job)[rel]["href"] == f"{SITE}/jobs/{job['jobID']}"
    assert f'rel="{rel}"' in (await api.get(f"/jobs/{job['jobID']}"))["Link"]


async def test_results_are_linked_only_when_there_are_some(api: Api, worker: PlayedWorker) -> None:
    async def fail(inputs: Inputs, work: Work) -> Any:
        raise Failure(500, "broke")

    await offer(worker, fail, "fails", description=ECHO)
    await offer(worker, never, "runs", description=ECHO)
    failed = await ended(api, (await api.run("fails", TEXT))["jobID"])
    running = await begun(api, (await api.run("runs", TEXT))["jobID"])
    assert f"{OGC}results" not in links(failed) | links(running)
    assert links(failed)[f"{OGC}exceptions"]["href"] == f"{SITE}/jobs/{failed['jobID']}/results"
    assert links(running)["events"]["href"] == f"{SITE}/jobs/{running['jobID']}/events"


async def test_progress_and_messages_are_seen(api: Api, worker: PlayedWorker) -> None:
    reported = asyncio.Event()

    async def slow(inputs: Inputs, work: Work) -> Any:
        await work.progress(40, "half way")
        reported.set()
        await asyncio.Event().wait()

    await offer(worker, slow, "echo", description=ECHO)
    job = (await api.run("echo", TEXT))["jobID"]
    await asyncio.wait_for(reported.wait(), 20)
    document = await api.json(f"/jobs/{job}")
    assert (document["status"], document["progress"], document["message"]) == ("running", 40, "half way")
    assert "finished" not in document


@pytest.mark.parametrize("job", ["a0caf373-45e5-4f76-8aad-e5e7b56f4a47", "nothing", "1"])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("DELETE", ""), ("GET", "/results"), ("GET", "/results/text"), ("GET", "/events")]
)
async def test_an_unknown_job_is_named_so_everywhere(api: Api, job: str, method: str, path: str) -> None:
    answer = await api.request(method, f"/jobs/{job}{path}")
    assert (answer.status_code, answer.json()["type"]) == (404, f"{E}no-such-job")


# -- dismissing -----------------------------------------------------------------------


async def test_dismissing_stops_the_work(api: Api, worker: PlayedWorker, runtime: Runtime) -> None:
    cancelled: list[str | None] = []
    runtime.service(Jobs).observe(lambda change: cancelled.append(change.cancel))
    await offer(worker, never, "echo", description=ECHO)
    job = (await begun(api, (await api.run("echo", TEXT))["jobID"]))["jobID"]
    answer = await api.delete(f"/jobs/{job}")
    assert (answer.status_code, answer.json()["status"]) == (200, "dismissed")
    assert any(cancelled)
    assert (await api.json(f"/jobs/{job}"))["status"] == "dismissed"
    results = await api.get(f"/jobs/{job}/results")
    assert (results.status_code, results.json()["type"]) == (410, f"{E}result-not-available")
    assert (await api.delete(f"/jobs/{job}")).status_code == 410


async def test_dismissing_a_successful_job_throws_its_results_away(api: Api, echoing: PlayedWorker) -> None:
    job = (await ended(api, (await api.run("echo", TEXT))["jobID"]))["jobID"]
    assert (await api.delete(f"/jobs/{job}")).json()["status"] == "dismissed"
    assert (await api.get(f"/jobs/{job}/results")).status_code == 410
    assert (await api.get(f"/jobs/{job}/results/text")).status_code == 410


async def test_a_client_that_waits_notices_that_its_job_was_dismissed(api: Api, worker: PlayedWorker) -> None:
    await offer(worker, never, "echo", description=ECHO)
    waiting = asyncio.create_task(api.execute("echo", TEXT))
    async with asyncio.timeout(20):
        while not (jobs := (await api.json("/jobs"))["jobs"]):
            await asyncio.sleep(0.01)
    await api.delete(f"/jobs/{jobs[0]['jobID']}")
    assert (await waiting).status_code == 410


# -- whose they are -------------------------------------------------------------------


async def test_jobs_are_seen_by_their_owner_and_by_staff(user: Callable[..., Any], echoing: PlayedWorker, settings: Any) -> None:
    ada, bob, staff, nobody = await user("ada"), await user("bob"), await user("eve", is_staff=True), Api()
    job = (await ended(ada, (await ada.run("echo", TEXT))["jobID"]))["jobID"]
    for path in ("", "/results", "/results/text", "/events"):
        statuses = [(await each.get(f"/jobs/{job}{path}")).status_code for each in (ada, staff, bob, nobody)]
        assert statuses == [200, 200, 404, 404], path
    assert [len((await each.json("/jobs"))["jobs"]) for each in (ada, staff, bob, nobody)] == [1, 1, 0, 0]
    assert [(await each.delete(f"/jobs/{job}")).status_code for each in (nobody, bob, ada)] == [404, 404, 200]


async def test_jobs_without_an_owner_are_everybodys(api: Api, user: Callable[..., Any], echoing: PlayedWorker) -> None:
    ada = await user("ada")
    job = (await api.run("echo", TEXT))["jobID"]
    assert (await ada.get(f"/jobs/{job}")).status_code == 200
    assert len((await Api().json("/jobs"))["jobs"]) == 1 and (await ada.json("/jobs"))["jobs"] == []


# -- the list -------------------------------------------------------------------------


async def many(runtime: Runtime, **statuses: int) -> list[str]:
    """Jobs of the process `many`, the newest first, each a minute older than the one before; and so many in other states."""

    def make() -> list[str]:
        process = make_process("many")
        now = timezone.now()
        ids = []
        for index, job in enumerate(submitted(process, 7)):
            Job.objects.filter(pk=job.pk).update(created=now - timedelta(minutes=index))
            ids.append(str(job.pk))
        return ids

    return await runtime.service(Jobs).read(make)


def ids(document: Any) -> list[str]:
    return [each["jobID"] for each in document["jobs"]]


async def test_jobs_are_listed_with_the_newest_first_page_by_page(api: Api, runtime: Runtime) -> None:
    expected = await many(runtime)
    pages = [await api.json("/jobs?limit=3")]
    while "next" in links(pages[-1]):
        pages.append(await api.json(links(pages[-1])["next"]["href"]))
    assert [ids(page) for page in pages] == [expected[:3], expected[3:6], expected[6:]]
    assert "prev" not in links(pages[0])
    back = await api.json(links(pages[2])["prev"]["href"])
    assert ids(back) == expected[3:6] and ids(await api.json(links(back)["prev"]["href"])) == expected[:3]


async def test_pages_are_stable_while_jobs_come(api: Api, runtime: Runtime) -> None:
    expected = await many(runtime)
    first = await api.json("/jobs?limit=3")
    await describe(runtime, "echo", description=ECHO)
    await api.run("echo", TEXT)
    assert ids(await api.json(links(first)["next"]["href"])) == expected[3:6]


async def test_filters_stay_from_page_to_page(api: Api, runtime: Runtime) -> None:
    expected = await many(runtime)
    await describe(runtime, "echo", description=ECHO)
    await api.run("echo", TEXT)
    first = await api.json("/jobs?limit=4&processID=many")
    assert ids(first) + ids(await api.json(links(first)["next"]["href"])) == expected


async def test_jobs_of_some_processes_and_states(api: Api, worker: PlayedWorker, runtime: Runtime) -> None:
    await many(runtime)
    await offer(worker, never, "runs", description=ECHO)
    running = (await begun(api, (await api.run("runs", TEXT))["jobID"]))["jobID"]

    async def found(query: str) -> int:
        return len((await api.json(f"/jobs?{query}"))["jobs"])

    assert await found("processID=many") == 7 and await found("processID=runs") == 1 and await found("processID=other") == 0
    assert await found("processID=many,runs") == await found("processID=many&processID=runs") == 8
    assert ids(await api.json("/jobs?status=running")) == [running]
    assert await found("status=accepted,running") == 8 and await found("status=failed") == 0
    assert await found("status=running&processID=many") == 0
    assert await found("type=process") == 8


async def test_jobs_of_a_time(api: Api, runtime: Runtime) -> None:
    expected = await many(runtime)
    created = {job["jobID"]: job["created"] for job in (await api.json("/jobs"))["jobs"]}
    third, fifth = created[expected[2]], created[expected[4]]

    async def found(interval: str) -> list[str]:
        return ids(await api.json(f"/jobs?datetime={interval}"))

    # times are published to the millisecond, so the job of the moment itself is just behind it
    assert await found(f"{fifth}/..") == await found(f"{fifth}/") == expected[:5]
    assert await found(f"../{third}") == expected[3:]
    assert await found(f"{fifth}/{third}") == expected[3:5]
    assert await found("2001-01-01") == [] and await found("../2001-01-01T00:00:00%2B01:00") == []
    assert set(await found(f"{(timezone.now() - timedelta(days=1)).date()}/{timezone.now().date()}")) == set(expected)


async def test_jobs_by_how_long_they_took(api: Api, runtime: Runtime) -> None:
    expected = await many(runtime)

    def run() -> None:
        now = timezone.now()
        for index, job in enumerate(expected[:3]):
            started = now - timedelta(seconds=10 * (index + 1))
            Job.objects.filter(pk=job).update(status="successful", started=started, finished=now)
        Job.objects.filter(pk=expected[3]).update(status="running", started=now - timedelta(seconds=15))

    await runtime.service(Jobs).read(run)

    async def found(query: str) -> list[str]:
        return ids(await api.json(f"/jobs?{query}"))

    assert await found("minDuration=0") == expected[:4]
    assert await found("minDuration=12") == expected[1:4]
    assert await found("maxDuration=12") == expected[:1]
    assert await found("minDuration=14&maxDuration=25&status=running") == [expected[3]]


@pytest.mark.parametrize(
    "query",
    [
        *(
            "status=done",
            "type=job",
            "datetime=yesterday",
            "datetime=../..",
            "datetime=2026-02-01/2026-01-01",
            "minDuration=-1",
            "maxDuration=x",
        ),
        *("cursor=nonsense", "cursor=", "cursor=PjEuMCB4", "datetime=2026-99-99", "minDuration=1.5", "datetime=", "processID=a%00b"),
    ],
)
async def test_a_bad_filter_is_refused(api: Api, query: str) -> None:
    answer = await api.get(f"/jobs?{query}")
    assert (answer.status_code, answer.json()["type"]) == (400, f"{E}invalid-query-parameter-value")
