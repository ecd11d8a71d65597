"""What is asked all the time is found by an index, however many jobs have ended."""

from __future__ import annotations

import pytest
from django.db import connection
from django.utils import timezone

from processes.models import Job

from ..rows import make_process

pytestmark = pytest.mark.django_db


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL plans by how many rows there are")
@pytest.mark.parametrize(
    ("jobs", "index"),
    [
        (lambda: Job.objects.queued().filter(process=make_process()).order_by("-priority", "turn", "created"), "queued_jobs"),
        (lambda: Job.objects.queued().filter(process=make_process(), owner=1).order_by("-turn").values("turn"), "turns_of_owner"),
        (lambda: Job.objects.running().filter(run_deadline__lt=timezone.now()), "running_jobs"),
        (lambda: Job.objects.active().filter(lease_expires__lt=timezone.now()), "leased_jobs"),
        (lambda: Job.objects.queued().filter(queue_deadline__lt=timezone.now()), "waiting_jobs"),
    ],
)
def test_a_partial_index_is_used(jobs, index: str) -> None:
    assert index in jobs().explain()
