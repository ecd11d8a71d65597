"""The queue: order, fair shares, limits, claims."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from processes.jobs import queue_sizes
from processes.jobs.queue import NewJob, Reservation, Slots, Submitted, claim, submit, submit_all
from processes.jobs.queue_sizes import Limits, QueueSizes
from processes.models import Attempt, Job
from streaming.core.errors import StreamError

from ..rows import LIMITS, claimed, make_process, make_worker, submitted

pytestmark = pytest.mark.django_db


def test_the_oldest_job_is_claimed_first() -> None:
    process = make_process()
    worker = make_worker("w", process)
    first, second, _ = submitted(process, 3)
    assert [each.job for each in claimed(process, worker, 2)] == [first.id, second.id]


def test_a_higher_priority_comes_before_age() -> None:
    process = make_process()
    submitted(process)
    (urgent,) = submitted(process, priority=1)
    assert claimed(process, make_worker("w", process))[0].job == urgent.id


def test_who_submits_one_job_does_not_wait_behind_a_hundred_of_another_user() -> None:
    process = make_process()
    worker = make_worker("w", process)
    many, one = (get_user_model().objects.create_user(name) for name in ("many", "one"))
    submitted(process, 20, owner=many.pk)
    claimed(process, worker, 5)
    (job,) = submitted(process, owner=one.pk)
    assert job.id in [each.job for each in claimed(process, worker, 2)]


def test_a_user_who_was_away_does_not_save_up_turns() -> None:
    process = make_process()
    worker = make_worker("w", process)
    steady, late = (get_user_model().objects.create_user(name) for name in ("steady", "late"))
    submitted(process, 10, owner=steady.pk)
    claimed(process, worker, 5)
    submitted(process, 10, owner=late.pk)
    owners = [each.owner for each in claimed(process, worker, 6)]
    assert owners.count(late.pk) == owners.count(steady.pk) == 3


def test_a_claim_brings_what_the_worker_needs() -> None:
    process = make_process(version="2.1.0")
    worker = make_worker("w", process)
    (job,) = submitted(process, outputs={"greeting": {"transmissionMode": "reference"}})
    (each,) = claimed(process, worker)
    assert (each.job, each.attempt, each.identifier, each.version) == (job.id, 1, "greet", "2.1.0")
    assert each.inputs == {"name": [{"value": "you"}]} and each.outputs == {"greeting": {"transmissionMode": "reference"}}
    attempt = Attempt.objects.get(job=job)
    assert (attempt.number, attempt.lease, attempt.worker, attempt.outcome) == (1, each.lease, worker, "")


def test_a_claimed_job_is_not_claimed_again() -> None:
    process = make_process()
    worker = make_worker("w", process)
    submitted(process)
    assert claimed(process, worker) and not claimed(process, worker)


def test_jobs_are_claimed_for_the_version_they_were_accepted_for() -> None:
    old, new = make_process(version="1", current=False), make_process(version="2")
    worker = make_worker("w", old, new)
    submitted(old)
    assert not claimed(new, worker) and claimed(old, worker)


def test_several_workers_share_the_queue() -> None:
    process = make_process()
    workers = [make_worker(name, process) for name in "ab"]
    submitted(process, 4)
    claims = claim([Slots(worker.pk, process.pk, 2) for worker in workers], 60)
    assert [each.worker for each in claims] == [workers[0].pk] * 2 + [workers[1].pk] * 2 and len({each.job for each in claims}) == 4


@pytest.mark.parametrize(("limits", "whose"), [(Limits(3, 99), "jobs wait"), (Limits(99, 3), "your jobs wait")])
def test_a_full_queue_refuses(limits: Limits, whose: str) -> None:
    process = make_process()
    submitted(process, 3)
    with pytest.raises(StreamError, match=whose) as refused:
        submit(NewJob(process.pk, {}), limits)
    assert refused.value.code == "queue_full"
    assert Job.objects.count() == 3


def test_the_same_job_submitted_again_is_stored_once() -> None:
    process = make_process()
    new = NewJob(process.pk, {})
    assert submit(new, Limits(9, 9)).job == submit(new, Limits(9, 9)).job
    assert Job.objects.count() == 1


def test_a_queue_is_not_counted_for_each_job(django_assert_max_num_queries: Any) -> None:
    process, sizes = make_process(), QueueSizes()
    submit_all([NewJob(process.pk, {})], LIMITS, sizes)
    with django_assert_max_num_queries(10) as queries:
        submit_all([NewJob(process.pk, {})], LIMITS, sizes)
    assert not any("COUNT" in each["sql"] for each in queries.captured_queries)


def test_jobs_that_are_submitted_together_have_turns_in_order_and_only_those_refused_are_missing() -> None:
    process = make_process()
    found = submit_all([NewJob(process.pk, {}) for _ in range(3)], Limits(2, 9), QueueSizes())
    assert [each.change.status if isinstance(each, Submitted) else getattr(each, "code", "") for each in found] == [
        "accepted",
        "accepted",
        "queue_full",
    ]
    assert sorted(Job.objects.values_list("turn", flat=True)) == [1, 2]


def test_a_full_queue_is_counted_again_when_it_may_have_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_sizes, "FULL_SECONDS", 0.0)
    process, sizes = make_process(), QueueSizes()
    submit_all([NewJob(process.pk, {})], Limits(1, 9), sizes)
    claimed(process, make_worker("w", process))
    (found,) = submit_all([NewJob(process.pk, {})], Limits(1, 9), sizes)
    assert isinstance(found, Submitted)


def test_a_job_with_a_reservation_is_claimed_as_it_is_submitted() -> None:
    process = make_process()
    worker = make_worker("w", process)
    lease = uuid.uuid4()
    new = NewJob(process.pk, {"name": [{"value": "you"}]}, reservation=Reservation(worker.pk, lease, 60.0))
    (found,) = submit_all([new], Limits(0, 0), QueueSizes())  # it does not wait
    assert isinstance(found, Submitted) and found.claim is not None and found.change.queued is None
    assert (found.claim.job, found.claim.attempt, found.claim.lease, found.claim.worker) == (new.id, 1, lease, worker.pk)
    assert found.claim.inputs == new.inputs and not claimed(process, worker)
    attempt = Attempt.objects.get(job=new.id)
    assert (attempt.number, attempt.lease, attempt.worker) == (1, lease, worker)


def test_the_same_reservation_again_is_the_same_claim() -> None:
    process = make_process()
    new = NewJob(process.pk, {}, reservation=Reservation(make_worker("w", process).pk, uuid.uuid4(), 60.0))
    first, again = (submit_all([new], LIMITS, QueueSizes())[0] for _ in range(2))
    assert isinstance(first, Submitted) and isinstance(again, Submitted) and first.claim and again.claim
    assert first.claim.lease == again.claim.lease == Job.objects.get().lease and Attempt.objects.count() == 1
