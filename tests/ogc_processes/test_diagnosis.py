"""Jobs that wait for a process that nobody offers are named, by `doctor` and on the dashboard."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from processes.diagnosis import look_at_queues
from processes.models import Job, Process, Worker
from streaming.engine.diagnosis import Level
from streaming.engine.registry import all_diagnoses, all_live_diagnoses
from tests.ogc_processes.rows import make_process, make_worker, submitted

pytestmark = pytest.mark.django_db


@pytest.fixture
def process() -> Process:
    """One for which two jobs have waited for an hour."""
    process = make_process("greet", "2")
    submitted(process, 2)
    Job.objects.update(created=timezone.now() - timedelta(hours=1))
    return process


def said() -> list[tuple[Level, str]]:
    return [(finding.level, finding.message) for finding in look_at_queues()]


def test_the_process_is_named(process: Process) -> None:
    ((level, message),) = said()
    assert level is Level.WARNING
    assert message.replace("\xa0", " ") == "2 jobs wait for greet 2, which no connected worker offers; the first has waited for 1 hour."


def test_a_connected_worker_will_do_them(process: Process) -> None:
    Worker.objects.filter(pk=make_worker("worker", process).pk).update(node="n")
    assert said() == [(Level.OK, "there are workers for all that wait")]


@pytest.mark.parametrize("state", [{"node": ""}, {"node": "n", "draining": True}])
def test_a_worker_that_is_away_or_takes_no_more_will_not(process: Process, state: dict[str, object]) -> None:
    Worker.objects.filter(pk=make_worker("worker", process).pk).update(**state)
    assert said()[0][0] is Level.WARNING


def test_a_job_that_has_just_come_is_given_a_moment() -> None:
    submitted(make_process())
    assert said() == [(Level.OK, "there are workers for all that wait")]


def test_the_dashboard_and_doctor_look() -> None:
    assert look_at_queues in all_live_diagnoses()
    assert look_at_queues in all_diagnoses()
