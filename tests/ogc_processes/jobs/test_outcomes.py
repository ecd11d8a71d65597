"""What becomes of claimed jobs."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from processes.jobs import outcomes
from processes.jobs.outcomes import LeaseError, OutputPart
from processes.jobs.queue import Claim
from processes.models import Attempt, Callback, Job, JobLog, JobOutput

from ..rows import claimed, lease_of, make_process, make_worker, submitted

pytestmark = pytest.mark.django_db
GREETING = [OutputPart("greeting", "hello")]
PROBLEM = outcomes.problem(422, "No", "it cannot be done")


def given(**process: Any) -> tuple[Job, Claim]:
    """A job that a worker was given."""
    row = make_process(**process)
    worker = make_worker("w", row)
    (job,) = submitted(row)
    (each,) = claimed(row, worker)
    return job, each


def again(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def let_run_out(job: Job, **fields: Any) -> None:
    Job.objects.filter(pk=job.pk).update(**{name: timezone.now() - timedelta(seconds=1) for name in fields})


def test_a_job_runs_and_succeeds() -> None:
    job, each = given()
    started = outcomes.start(lease_of(each), 30)
    assert started and started.status == "running" and again(job).run_deadline is not None
    assert outcomes.progress(lease_of(each), 40, "half way").progress == 40
    ended = outcomes.succeed(lease_of(each), GREETING)
    assert ended and (ended.status, ended.progress, ended.final) == ("successful", 100, True)
    assert list(JobOutput.objects.values_list("output", "value")) == [("greeting", "hello")]
    assert Attempt.objects.get().outcome == "successful"


def test_each_change_has_a_revision_of_its_own() -> None:
    _job, each = given()
    changes = [outcomes.start(lease_of(each), None), outcomes.progress(lease_of(each), 1, None), outcomes.succeed(lease_of(each), GREETING)]
    assert [change and change.revision for change in changes] == [2, 3, 4]


def test_the_same_result_again_changes_nothing() -> None:
    job, each = given()
    outcomes.succeed(lease_of(each), GREETING)
    before = again(job).revision
    assert outcomes.succeed(lease_of(each), [OutputPart("greeting", "other")]) is None
    assert again(job).revision == before and JobOutput.objects.get().value == "hello"


def test_what_a_worker_said_on_the_way_is_no_message_of_its_success() -> None:
    job, each = given()
    outcomes.progress(lease_of(each), 90, "waiting")
    change = outcomes.succeed(lease_of(each), GREETING)
    assert change and (change.progress, change.message) == (100, "") and again(job).message == ""


def test_a_lease_that_was_given_to_somebody_else_writes_nothing() -> None:
    job, each = given(retry="safe")
    outcomes.lose(lease_of(each), "worker lost")
    for write in (outcomes.start, outcomes.succeed):
        with pytest.raises(LeaseError, match="lost"):
            write(lease_of(each), ())  # type: ignore[operator]
    assert not JobOutput.objects.exists() and again(job).status == "accepted"


def test_an_unknown_job_is_named_so() -> None:
    _, each = given()
    with pytest.raises(LeaseError, match="unknown"):
        outcomes.progress(replace(lease_of(each), job=uuid.uuid4()), 1, None)


def test_a_dismissed_job_ends_its_lease() -> None:
    job, each = given()
    change = outcomes.dismiss(job.id)
    assert change and (change.status, change.cancel, change.reason) == ("dismissed", str(each.lease), "dismissed")
    with pytest.raises(LeaseError, match="ended"):
        outcomes.succeed(lease_of(each), GREETING)
    assert outcomes.dismiss(job.id) is None


def test_dismissing_a_successful_job_throws_its_results_away() -> None:
    job, each = given()
    outcomes.succeed(lease_of(each), GREETING)
    change = outcomes.dismiss(job.id)
    assert change and change.status == "dismissed" and change.cancel is None
    assert not JobOutput.objects.exists()


def test_a_job_fails_with_its_exception() -> None:
    job, each = given()
    change = outcomes.fail(lease_of(each), PROBLEM)
    assert change and (change.status, change.message) == ("failed", "it cannot be done")
    assert again(job).exception == PROBLEM
    assert outcomes.fail(lease_of(each), PROBLEM) is None


def test_a_failure_that_may_be_tried_again_is_where_the_process_is_safe() -> None:
    job, each = given(retry="safe", max_attempts=2)
    change = outcomes.fail(lease_of(each), PROBLEM, retryable=True)
    assert change and change.status == "accepted" and change.queued is not None
    assert change.message == "it cannot be done, attempt 2 of 2"
    Job.objects.update(not_before=None)
    (second,) = claimed(job.process, each_worker(each))  # type: ignore[arg-type]
    last = outcomes.fail(lease_of(second), PROBLEM, retryable=True)
    assert last and last.status == "failed" and Attempt.objects.filter(outcome="failed").count() == 2


def each_worker(each: Claim) -> Any:
    from processes.models import Worker

    return Worker.objects.get(pk=each.worker)


def test_a_job_that_is_tried_again_waits_a_moment() -> None:
    job, each = given(retry="safe")
    outcomes.lose(lease_of(each), "worker lost")
    assert not claimed(job.process, each_worker(each))  # type: ignore[arg-type]
    assert again(job).not_before is not None


@pytest.mark.parametrize(("retry", "status"), [("safe", "accepted"), ("never", "failed")])
def test_a_lease_that_runs_out_is_a_lost_worker(retry: str, status: str) -> None:
    job, each = given(retry=retry)
    outcomes.start(lease_of(each), None)
    let_run_out(job, lease_expires=True)
    (change,) = outcomes.expire()
    assert (change.status, change.cancel, change.reason) == (status, str(each.lease), "leaseLost")
    assert outcomes.expire() == []
    assert Attempt.objects.get().outcome == "worker lost"


def test_a_renewed_lease_holds() -> None:
    job, each = given()
    let_run_out(job, lease_expires=True)
    assert outcomes.renew([lease_of(each)], 60) == ([each.lease], [])
    assert outcomes.expire() == []


def test_leases_that_do_not_hold_are_named_with_their_reason() -> None:
    job, each = given()
    outcomes.dismiss(job.id)
    assert outcomes.renew([lease_of(each)], 60) == ([], [(each.lease, "ended")])


def test_a_job_that_runs_for_too_long_times_out() -> None:
    job, each = given()
    outcomes.start(lease_of(each), 30)
    let_run_out(job, run_deadline=True)
    (change,) = outcomes.expire()
    assert (change.status, change.cancel, change.reason) == ("failed", str(each.lease), "timeout")
    assert again(job).exception["status"] == 504


def test_a_job_that_nobody_takes_fails_in_time() -> None:
    (job,) = submitted(make_process(), queue_seconds=10)
    let_run_out(job, queue_deadline=True)
    (change,) = outcomes.expire()
    assert change.status == "failed" and again(job).exception["status"] == 503


def test_a_job_that_was_given_back_counts_no_attempt() -> None:
    job, each = given()
    change = outcomes.give_back(lease_of(each))
    assert change.queued == job.process_id and again(job).attempt == 0 and not Attempt.objects.exists()
    (second,) = claimed(job.process, each_worker(each))  # type: ignore[arg-type]
    assert second.attempt == 1 and second.lease != each.lease


def test_parts_of_an_output_make_way_for_the_result() -> None:
    _, each = given()
    for seq in (0, 1, 1):
        outcomes.store_part(lease_of(each), OutputPart("greeting", f"part {seq}", seq=seq))
    assert list(JobOutput.objects.values_list("seq", "value")) == [(0, "part 0"), (1, "part 1")]
    outcomes.succeed(lease_of(each), GREETING)
    assert list(JobOutput.objects.values_list("value", flat=True)) == ["hello"]


def test_a_job_that_is_tried_again_begins_without_outputs() -> None:
    _, each = given(retry="safe")
    outcomes.store_part(lease_of(each), OutputPart("greeting", "part"))
    outcomes.lose(lease_of(each), "worker lost")
    assert not JobOutput.objects.exists()


def test_a_continuous_job_goes_on_from_its_checkpoint_however_often_its_worker_is_lost() -> None:
    job, each = given(continuous=True, max_attempts=1)
    outcomes.checkpoint(lease_of(each), {"cursor": "7"})
    outcomes.lose(lease_of(each), "worker lost")
    Job.objects.update(not_before=None)
    (second,) = claimed(job.process, each_worker(each))  # type: ignore[arg-type]
    assert second.checkpoint == {"cursor": "7"} and second.attempt == 2


def test_the_log_of_a_job() -> None:
    _, each = given()
    outcomes.log(lease_of(each), "warning", "it is late")
    assert list(JobLog.objects.values_list("attempt", "level", "message")) == [(1, "warning", "it is late")]


@pytest.mark.parametrize(
    ("end", "kinds"),
    [
        (lambda lease: outcomes.succeed(lease, GREETING), ["progress", "success"]),
        (lambda lease: outcomes.fail(lease, PROBLEM), ["progress", "failed"]),
        (lambda lease: outcomes.dismiss(lease.job), ["progress", "failed"]),
    ],
)
def test_a_subscriber_is_called_at_the_start_and_at_the_end(end: Any, kinds: list[str]) -> None:
    process = make_process()
    worker = make_worker("w", process)
    addresses = {f"{kind}Uri": f"http://example.org/{kind}" for kind in ("success", "inProgress", "failed")}
    submitted(process, subscriber=addresses)
    (each,) = claimed(process, worker)
    outcomes.start(lease_of(each), None)
    end(lease_of(each))
    assert list(Callback.objects.order_by("pk").values_list("kind", flat=True)) == kinds


def test_an_operator_has_a_failed_job_done_again() -> None:
    job, each = given()
    outcomes.fail(lease_of(each), PROBLEM)
    change = outcomes.requeue(job.id)
    assert change.status == "accepted" and change.cancel is None and again(job).exception is None
    assert claimed(job.process, each_worker(each))  # type: ignore[arg-type]


def test_results_that_are_stored_together_are_each_as_if_alone() -> None:
    process = make_process()
    worker = make_worker("w", process)
    submitted(process, 3)
    first, lost, again_ = claimed(process, worker, 3)
    outcomes.start(lease_of(first), None)
    outcomes.store_part(lease_of(first), OutputPart("greeting", "a part", seq=1))
    outcomes.succeed(lease_of(again_), GREETING)
    stale = replace(lease_of(lost), lease=uuid.uuid4())
    results = [outcomes.Success(lease, GREETING, warning="odd") for lease in (lease_of(first), stale, lease_of(again_), lease_of(first))]
    found = outcomes.succeed_all(results)
    assert isinstance(found[1], LeaseError) and found[2:] == [None, None]
    job = Job.objects.get(pk=first.job)
    assert isinstance(found[0], outcomes.Succeeded)
    change = found[0].change
    assert (change.revision, change.finished) == (job.revision, job.finished and job.finished.timestamp())
    assert (job.status, job.progress, job.message) == ("successful", 100, "")
    assert list(job.outputs.values_list("seq", "value")) == [(0, "hello")]
    assert JobLog.objects.get().job == job and Job.objects.get(pk=lost.job).status == "accepted"
