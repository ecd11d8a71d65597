"""Jobs, from the queue to a worker and back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from processes.jobs.outcomes import Lease, dismiss, lose
from processes.models import Attempt, Job, JobLog, JobOutput, JobRequest, Worker
from processes.workers.service import Workers

from .conftest import Site
from .peer import Refused, WorkerPeer, lease_in, unknown_lease

GREETING = {"greeting": {"value": "hello"}}


async def test_a_job_is_done(site: Site) -> None:
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    assert (job["jobID"], job["attempt"], job["processID"], job["version"]) == (submitted, 1, "greet", "1.0.0")
    assert job["inputs"] == {"name": [{"value": "you"}]} and job["context"] == {"locale": "en"}
    await worker.notify("job.started", lease_in(job))
    row = await site.until(submitted, "running")
    assert row.started is not None and row.run_deadline is not None
    assert await worker.call("job.result", {**lease_in(job), "outputs": GREETING}) == {"status": "successful"}
    row = await site.row(submitted)
    assert (row.status, row.progress) == ("successful", 100)
    assert (await JobOutput.objects.aget()).value == "hello"


async def with_an_empty_queue(site: Site, **hello: Any) -> WorkerPeer:
    """A worker that has done a job: nothing is being looked for any more."""
    worker = await site.worker("w", "greet", **hello)
    await site.submit()
    await worker.call("job.result", {**lease_in(await worker.job()), "outputs": GREETING})
    return worker


async def test_a_job_that_no_other_waits_before_never_waits_in_the_queue(site: Site) -> None:
    worker = await with_an_empty_queue(site, concurrency=2)
    queued = list[bool]()
    site.jobs.observe(lambda change: queued.append(change.queued is not None))
    for _ in range(2):
        assert await site.submit() == (await worker.job())["jobID"]
    await site.submit()
    assert queued == [False, False, True], "there is no room for the third"
    assert await Attempt.objects.filter(ended=None).acount() == 2


async def test_jobs_that_are_submitted_together_take_no_more_slots_than_there_are(site: Site) -> None:
    worker = await with_an_empty_queue(site, concurrency=2)
    await asyncio.gather(*(site.submit() for _ in range(5)))
    assert len({(await worker.job())["jobID"] for _ in range(2)}) == 2
    await worker.quiet()
    assert await Job.objects.filter(lease=None).acount() == 3


async def test_a_job_whose_client_left_while_it_was_stored_reaches_its_worker(site: Site) -> None:
    worker = await with_an_empty_queue(site)
    submitting = asyncio.create_task(site.submit())
    while not site.runtime.service(Workers).held:
        await asyncio.sleep(0)
    submitting.cancel()
    assert (await worker.job())["attempt"] == 1


async def test_a_job_waits_where_the_row_of_its_worker_was_deleted(site: Site) -> None:
    worker = await with_an_empty_queue(site)
    await Worker.objects.all().adelete()
    submitted = await site.submit()
    await worker.quiet()
    assert (await site.row(submitted)).lease is None


async def test_a_job_is_given_back_whose_worker_was_lost_while_it_was_stored(site: Site) -> None:
    worker = await with_an_empty_queue(site)
    submitting, workers = asyncio.create_task(site.submit()), site.runtime.service(Workers)
    while not workers.held:
        await asyncio.sleep(0)
    (held,) = workers.held
    workers.held.remove(held)  # as a connection that ends does
    submitted, job = await submitting, await worker.job()
    assert (job["jobID"], job["attempt"]) == (submitted, 1) and job["leaseID"] != str(held.lease.lease)


async def test_what_ends_at_once_has_a_time_at_which_it_began(site: Site) -> None:
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    await worker.notify("job.started", lease_in(job))
    await worker.call("job.result", {**lease_in(job), "outputs": GREETING})
    row = await site.row(submitted)
    assert row.started is not None and row.finished is not None and row.started <= row.finished


async def test_a_job_that_waited_before_its_worker_came_is_given_to_it(site: Site) -> None:
    worker = await site.worker("w", "greet")
    await worker.close()
    submitted = await site.submit()
    assert (await (await site.worker("w", "greet")).job())["jobID"] == submitted


async def test_never_more_than_a_worker_can_do(site: Site) -> None:
    worker = await site.worker("w", concurrency=3)
    await worker.offer("greet", concurrency=2)
    await worker.offer("other")
    for each in ["greet"] * 3 + ["other"] * 3:
        await site.submit(each)
    jobs = [await worker.job() for _ in range(3)]
    await worker.quiet()
    assert sum(job["processID"] == "greet" for job in jobs) <= 2
    await worker.call("job.result", {**lease_in(jobs[0]), "outputs": GREETING})
    assert await worker.job()
    await worker.quiet()


async def test_the_worker_with_the_most_room_is_given_the_next_job(site: Site) -> None:
    small, large = await site.worker("s", "greet", concurrency=1), await site.worker("l", "greet", concurrency=3)
    for _ in range(2):
        await site.submit()
        await large.job()
    await site.submit()
    await site.submit()
    assert await small.job() and await large.job()


async def test_progress_is_stored_once_in_a_while_and_the_newest_wins(site: Site, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_PROGRESS_SECONDS = 0.3
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    seen = list[int]()
    site.jobs.observe(lambda change: seen.append(change.progress))
    for percent in range(1, 41):
        await worker.notify("job.progress", {**lease_in(job), "progress": percent, "message": f"at {percent}"})
    while (row := await site.row(submitted)).progress < 40 or seen[-1:] != [40]:  # it is told once it is stored
        await asyncio.sleep(0.02)
    assert (row.status, row.message) == ("running", "at 40")
    assert [percent for percent in seen if percent] == [1, 40]


async def test_a_log_has_lines_within_a_limit(site: Site, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_LOG_LINES = 2
    worker = await site.worker("w", "greet")
    await site.submit()
    job = await worker.job()
    for level in ("info", "warning", "error"):
        await worker.notify("job.log", {**lease_in(job), "level": level, "message": "a line"})
    await worker.call("job.result", {**lease_in(job), "outputs": GREETING})
    assert [line.level async for line in JobLog.objects.all()] == ["info", "warning"]


async def test_parts_and_checkpoints_are_stored_when_they_are_acknowledged(site: Site) -> None:
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    part = {"part": {"value": "a"}, "outputID": "greeting"}
    assert await worker.call("job.output", {**lease_in(job), **part, "seq": 0}) == {"stored": True}
    assert await worker.call("job.output", {**lease_in(job), **part, "seq": 1, "last": True}) == {"stored": True}
    assert await worker.call("job.checkpoint", {**lease_in(job), "data": {"at": 7}}) == {"stored": True}
    assert (await site.row(submitted)).status == "running"
    assert await JobOutput.objects.acount() == 2
    assert (await JobRequest.objects.aget()).checkpoint == {"at": 7}


async def test_a_checkpoint_reaches_the_next_attempt(site: Site) -> None:
    worker = await site.worker("w")
    await worker.offer("greet", continuous=True, description={"jobControlOptions": ["async-execute", "dismiss"]})
    submitted = await site.submit()
    job = await worker.job()
    assert "deadline" not in job
    await worker.call("job.checkpoint", {**lease_in(job), "data": {"at": 7}})
    await site.jobs.change(partial(lose, Lease(UUID(submitted), 1, UUID(job["leaseID"])), "worker lost"))
    await worker.answer(await worker.request("job.cancel"), {"state": "finished"})
    await Job.objects.filter(pk=submitted).aupdate(not_before=None)
    again = await worker.job()
    assert (again["attempt"], again["checkpoint"]) == (2, {"at": 7})


async def test_the_same_result_again_is_answered_in_the_same_way(site: Site) -> None:
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    for value in ("first", "second"):
        answer = await worker.call("job.result", {**lease_in(job), "outputs": {"greeting": {"value": value}}})
        assert answer == {"status": "successful"}
    assert (await JobOutput.objects.aget()).value == "first" and (await site.row(submitted)).status == "successful"


async def test_a_result_that_its_schema_refuses_fails_the_job(site: Site) -> None:
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    answer = await worker.call("job.result", {**lease_in(job), "outputs": {"greeting": {"value": 7}}})
    assert answer["status"] == "failed" and answer["errors"][0]["pointer"] == "/greeting"
    row = await site.row(submitted)
    assert row.exception is not None and (row.status, row.exception["status"]) == ("failed", 500) and row.exception["errors"]
    assert not await JobOutput.objects.aexists()
    assert (await worker.call("job.result", {**lease_in(job), "outputs": {"greeting": {"value": 7}}}))["status"] == "failed"


@pytest.mark.parametrize("outputs", [{}, {"other": {"value": "x"}}])
async def test_a_missing_or_unknown_output_fails_the_job(site: Site, outputs: dict[str, Any]) -> None:
    worker = await site.worker("w", "greet")
    await site.submit()
    assert (await worker.call("job.result", {**lease_in(await worker.job()), "outputs": outputs}))["status"] == "failed"


async def test_a_process_may_ask_for_a_warning_instead(site: Site) -> None:
    worker = await site.worker("w")
    await worker.offer("greet", resultCheck="warn")
    submitted = await site.submit()
    answer = await worker.call("job.result", {**lease_in(await worker.job()), "outputs": {"greeting": {"value": 7}}})
    assert answer == {"status": "successful"}
    assert (await site.row(submitted)).status == "successful" and (await JobLog.objects.aget()).level == "warning"


@pytest.mark.parametrize("part", [{}, {"value": 1, "href": "http://x/"}, {"href": "file:///etc/passwd"}])
async def test_an_output_is_one_of_value_blob_and_link(site: Site, part: dict[str, Any]) -> None:
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    with pytest.raises(Refused) as refused:
        await worker.call("job.result", {**lease_in(job), "outputs": {"greeting": part}})
    assert refused.value.code == -32602
    assert (await site.row(submitted)).status == "accepted"
    assert (await worker.call("job.result", {**lease_in(job), "outputs": GREETING})) == {"status": "successful"}


async def test_a_value_that_is_too_large_for_a_message_is_refused(site: Site, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_INLINE_BYTES = 1000
    worker = await site.worker("w", "greet")
    await site.submit()
    job = await worker.job()
    with pytest.raises(Refused) as refused:
        await worker.call("job.result", {**lease_in(job), "outputs": {"greeting": {"value": "x" * 2000}}})
    assert refused.value.code == -32040


async def test_a_failure_has_what_the_worker_says(site: Site) -> None:
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    error = {"title": "No data", "detail": "nothing there", "status": 422, "inputs": [{"input": "name", "detail": "unknown"}]}
    assert await worker.call("job.fail", {**lease_in(job), "error": error}) == {"status": "failed"}
    assert (await site.row(submitted)).exception == {
        "type": "about:blank",
        "title": "No data",
        "status": 422,
        "detail": "nothing there",
        "errors": error["inputs"],
    }
    assert await worker.call("job.fail", {**lease_in(job), "error": error}) == {"status": "failed"}


async def test_a_failure_that_may_be_tried_again_is_where_the_process_is_safe(site: Site) -> None:
    worker = await site.worker("w")
    await worker.offer("greet", retry={"mode": "safe", "maxAttempts": 2})
    await site.submit()
    for expected in ("accepted", "failed"):
        job = await worker.job()
        answer = await worker.call("job.fail", {**lease_in(job), "error": {"title": "No"}, "retryable": True})
        assert answer == {"status": expected}


async def test_an_input_that_the_worker_rejects_is_the_clients_fault(site: Site) -> None:
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job(accept=False)
    problem = {"title": "Invalid input", "detail": "there is nobody", "type": "InvalidParameterValue"}
    await worker.answer(job["request"], error={"code": -32031, "message": "Rejected", "data": {"problem": problem}})
    row = await site.until(submitted, "failed")
    assert row.exception == {"type": "InvalidParameterValue", "title": "Invalid input", "status": 400, "detail": "there is nobody"}
    assert (await Attempt.objects.aget()).outcome == "rejected"


async def test_a_busy_worker_is_left_alone_for_a_moment_and_another_gets_the_job(site: Site) -> None:
    busy, other = await site.worker("b", "greet", concurrency=4), await site.worker("o", "greet", concurrency=1)
    submitted = await site.submit()
    await busy.answer((await busy.job(accept=False))["request"], error={"code": -32030, "message": "Busy"})
    job = await other.job()
    assert (job["jobID"], job["attempt"]) == (submitted, 1)


async def test_a_worker_that_does_not_acknowledge_loses_the_job_and_is_suspect(site: Site, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_ACK_SECONDS = 0.2
    silent, other = await site.worker("s", "greet", concurrency=4), await site.worker("o", "greet", concurrency=1)
    submitted = await site.submit()
    first = await silent.job(accept=False)
    second = await other.job()
    assert second["jobID"] == first["jobID"] == submitted and second["leaseID"] != first["leaseID"]
    assert (await silent.request("job.cancel"))["params"]["reason"] == "leaseLost"
    assert (await Worker.objects.aget(name="s")).suspect
    with pytest.raises(Refused) as refused:
        await silent.call("job.result", {**lease_in(first), "outputs": GREETING})
    assert refused.value.code == -32011
    assert await other.call("job.result", {**lease_in(second), "outputs": GREETING}) == {"status": "successful"}
    await site.submit()
    assert await other.job()
    await silent.call("worker.heartbeat", {"jobs": []})
    await site.submit()
    assert await silent.job()


async def test_a_worker_that_never_acknowledges_is_closed(site: Site, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_ACK_SECONDS = 0.1
    silent = await site.worker("s", "greet")
    await site.submit()
    for _ in range(3):
        await silent.job(accept=False)
        await silent.request("job.cancel")
        await silent.notify("worker.nothing", {})
        if _ < 2:
            await silent.call("worker.heartbeat", {"jobs": []})
    assert await silent.closed() == 4530


async def test_dismissing_a_job_reaches_its_worker_and_frees_the_slot(site: Site) -> None:
    worker = await site.worker("w", "greet", concurrency=1)
    submitted, following = await site.submit(), await site.submit()
    job = await worker.job()
    await site.jobs.change(partial(dismiss, (await site.row(submitted)).pk))
    cancel = await worker.request("job.cancel")
    assert (cancel["params"]["reason"], cancel["params"]["leaseID"], cancel["params"]["graceSeconds"]) == ("dismissed", job["leaseID"], 10)
    await worker.answer(cancel, {"state": "cancelling"})
    await worker.quiet()
    await worker.notify("job.cancelled", lease_in(job))
    assert (await worker.job())["jobID"] == following
    with pytest.raises(Refused) as refused:
        await worker.call("job.result", {**lease_in(job), "outputs": GREETING})
    assert refused.value.code == -32012
    assert (await site.row(submitted)).status == "dismissed" and not await JobOutput.objects.aexists()


async def test_a_slot_whose_cancel_was_ignored_is_written_off_until_a_heartbeat_leaves_the_job_out(site: Site, settings: Any) -> None:
    settings.GEOSTREAM_PROCESS_CANCEL_SECONDS = 0.1
    worker = await site.worker("w", "greet", concurrency=1)
    submitted, _ = await site.submit(), await site.submit()
    job = await worker.job()
    await site.jobs.change(partial(dismiss, (await site.row(submitted)).pk))
    await worker.answer(await worker.request("job.cancel"), {"state": "cancelling"})
    await worker.quiet(0.3)
    answer = await worker.call("worker.heartbeat", {"jobs": [lease_in(job)]})
    assert answer["lost"] == [{"leaseID": job["leaseID"], "reason": "ended"}]
    await worker.quiet()
    await worker.call("worker.heartbeat", {"jobs": []})
    assert await worker.job()


async def test_a_job_that_runs_too_long_is_cancelled_and_fails(site: Site) -> None:
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    await worker.notify("job.started", lease_in(job))
    await site.until(submitted, "running")
    await Job.objects.aupdate(run_deadline=timezone.now() - timedelta(seconds=1))
    await site.jobs.sweep()
    assert (await worker.request("job.cancel"))["params"]["reason"] == "timeout"
    row = await site.row(submitted)
    assert row.exception is not None and (row.status, row.exception["status"]) == ("failed", 504)


async def test_a_heartbeat_renews_leases_and_names_those_that_are_lost(site: Site) -> None:
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    before = (await site.row(submitted)).lease_expires
    lost = unknown_lease()
    answer = await worker.call("worker.heartbeat", {"jobs": [lease_in(job), lost], "free": 3})
    assert [each["leaseID"] for each in answer["renewed"]] == [job["leaseID"]]
    assert answer["lost"] == [{"leaseID": lost["leaseID"], "reason": "unknown"}]
    after = (await site.row(submitted)).lease_expires
    assert before is not None and after is not None and after > before


async def test_messages_of_a_job_renew_its_lease_too(site: Site) -> None:

    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    await worker.notify("job.progress", {**lease_in(job), "progress": 1})
    await site.until(submitted, "running")
    await Job.objects.aupdate(lease_expires=timezone.now() + timedelta(seconds=1))
    await site.runtime.service(Workers).review()
    expires = (await site.row(submitted)).lease_expires
    assert expires is not None and expires > timezone.now() + timedelta(seconds=30)


async def test_a_draining_worker_is_given_nothing_more(site: Site) -> None:
    worker = await site.worker("w", "greet")
    await site.submit()
    await worker.job()
    assert await worker.call("worker.drain", {"deadlineSeconds": 10}) == {"running": 1}
    await site.submit()
    await worker.quiet()
    assert (await Worker.objects.aget()).draining


async def test_a_draining_server_says_when_to_come_back(site: Site) -> None:
    from processes.workers.service import DRAIN

    worker = await site.worker("w", "greet")
    await site.runtime.hub.control(DRAIN, node="", seconds=3)
    assert await worker.notice("server.drain") == {"reconnectAfterSeconds": 3}
    await site.submit()
    await worker.quiet()


@pytest.mark.parametrize("method", ["job.result", "job.fail", "job.output", "job.checkpoint"])
async def test_a_lie_about_a_job_is_refused(site: Site, method: str) -> None:
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    more = {"outputs": {}, "outputID": "greeting", "part": {"value": "x"}, "data": 1}
    with pytest.raises(Refused) as refused:
        await worker.call(method, {**unknown_lease(), **more})
    assert refused.value.code == -32010
    with pytest.raises(Refused) as refused:
        await worker.call(method, {**lease_in(job), "leaseID": unknown_lease()["leaseID"], **more})
    assert refused.value.code == -32011
    assert (await site.row(submitted)).status == "accepted"


async def test_progress_of_a_job_that_a_worker_has_not_is_answered_with_a_cancel(site: Site) -> None:
    worker = await site.worker()
    lease = unknown_lease()
    await worker.notify("job.progress", {**lease, "progress": 1})
    cancel = await worker.request("job.cancel")
    assert (cancel["params"]["leaseID"], cancel["params"]["reason"]) == (lease["leaseID"], "leaseLost")


def resumed(job: dict[str, Any], state: str = "running") -> dict[str, Any]:
    return {**lease_in(job), "state": state, "progress": 10}


async def again(site: Site, worker: WorkerPeer, **hello: Any) -> WorkerPeer:
    await worker.close()
    return await site.worker("w", **hello)


async def test_a_worker_that_comes_back_goes_on_with_its_job(site: Site) -> None:
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    await worker.notify("job.started", lease_in(job))
    await site.until(submitted, "running")
    lost = unknown_lease()
    worker = await again(site, worker, resume=[resumed(job), resumed(lost)])
    assert [each["leaseID"] for each in worker.welcome["resumed"]] == [job["leaseID"]]
    assert worker.welcome["abandoned"] == [{"jobID": lost["jobID"], "reason": "unknown"}]
    assert await worker.call("job.result", {**lease_in(job), "outputs": GREETING}) == {"status": "successful"}
    assert await Attempt.objects.acount() == 1


async def test_a_resumed_job_takes_a_slot_and_can_be_cancelled(site: Site) -> None:
    worker = await site.worker("w", "greet", concurrency=1)
    submitted = await site.submit()
    job = await worker.job()
    worker = await again(site, worker, concurrency=1, resume=[resumed(job)])
    await worker.offer()
    await site.submit()
    await worker.quiet()
    await site.jobs.change(partial(dismiss, (await site.row(submitted)).pk))
    await worker.answer(await worker.request("job.cancel"), {"state": "finished"})
    assert await worker.job()


@pytest.mark.parametrize(("retry", "status"), [("never", "failed"), ("safe", "accepted")])
async def test_what_a_restarted_worker_does_not_bring_along_is_lost_at_once(site: Site, retry: str, status: str) -> None:
    worker = await site.worker("w", instance_id="one")
    await worker.offer("greet", retry={"mode": retry})
    submitted = await site.submit()
    job = await worker.job()
    await worker.notify("job.started", lease_in(job))
    await site.until(submitted, "running")
    worker = await again(site, worker, instanceID="two")
    row = await site.row(submitted)
    assert row.status == status
    if status == "failed":
        assert row.exception is not None and row.exception["title"] == "Worker lost"


async def test_what_the_same_program_was_never_given_waits_again(site: Site) -> None:
    worker = await site.worker("w", "greet", instanceID="one")
    submitted = await site.submit()
    await worker.job(accept=False)
    worker = await again(site, worker, instanceID="one")
    await worker.offer()
    job = await worker.job()
    assert (job["jobID"], job["attempt"]) == (submitted, 1)


async def test_a_result_kept_while_offline_is_taken_if_the_lease_holds(site: Site) -> None:
    worker = await site.worker("w", "greet")
    submitted = await site.submit()
    job = await worker.job()
    worker = await again(site, worker, resume=[resumed(job, "done")])
    assert worker.welcome["resumed"]
    await worker.call("job.result", {**lease_in(job), "outputs": GREETING})
    assert (await site.row(submitted)).status == "successful"
    worker = await again(site, worker, resume=[resumed(job, "done")])
    assert worker.welcome["resumed"], "its answer may have been lost"
    assert await worker.call("job.result", {**lease_in(job), "outputs": GREETING}) == {"status": "successful"}


async def test_another_worker_cannot_resume_a_job(site: Site) -> None:
    worker = await site.worker("w", "greet")
    await site.submit()
    job = await worker.job()
    thief = await site.worker("thief", resume=[resumed(job)])
    assert (thief.welcome["resumed"], thief.welcome["abandoned"]) == ([], [{"jobID": job["jobID"], "reason": "lost"}])
    assert await worker.call("job.result", {**lease_in(job), "outputs": GREETING}) == {"status": "successful"}
