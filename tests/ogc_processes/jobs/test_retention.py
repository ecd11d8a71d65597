"""What has ended is kept for a while: jobs with all that belongs to them, workers, and old versions of processes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.core.files.base import ContentFile
from django.utils import timezone

from processes.jobs import retention
from processes.jobs.outcomes import OutputPart, succeed
from processes.jobs.retention import AT_ONCE, Retention, delete_jobs, delete_versions, delete_workers
from processes.models import Attempt, Blob, Callback, Job, JobLog, JobOutput, Process, Registration, Worker
from streaming.engine.runtime import Runtime

from ..rows import claimed, lease_of, make_process, make_worker, submitted

pytestmark = pytest.mark.django_db

NOW = timezone.now
OLD = timedelta(days=40)


def make_blob(job: Job | None = None) -> Blob:
    blob = Blob(size=1, sha256="0" * 64, job=job)
    blob.file.save("value", ContentFile(b"x"), save=False)
    blob.save()
    return blob


def ended(process: Process, worker: Worker, blob: Blob | None = None, ago: timedelta = OLD) -> Job:
    (job,) = submitted(process)
    (claim,) = claimed(process, worker)
    succeed(lease_of(claim), [OutputPart("greeting", value="hello", blob=blob.pk if blob else None)])
    JobLog.objects.create(job=job, at=NOW(), message="done")
    Job.objects.filter(pk=job.pk).update(finished=NOW() - ago)
    return job


def before() -> Any:
    return NOW() - timedelta(days=30)


def test_a_job_goes_with_all_that_belongs_to_it(django_capture_on_commit_callbacks: Callable[..., Any]) -> None:
    process, blob = make_process(), make_blob()
    worker = make_worker("w", process)
    old = ended(process, worker, blob)
    Callback.objects.create(job=old, kind="success", url="http://localhost/", state="sent", next_at=NOW())
    new = ended(process, worker, ago=timedelta(days=20))
    (waiting,) = submitted(process)
    path = Path(blob.file.path)
    with django_capture_on_commit_callbacks(execute=True):
        assert delete_jobs(before()) == 1
    assert set(Job.objects.values_list("pk", flat=True)) == {new.pk, waiting.pk}
    for model in (Attempt, JobLog, JobOutput):
        assert set(model.objects.values_list("job", flat=True)) == {new.pk}
    assert not Blob.objects.exists() and not Callback.objects.exists() and not path.exists()


def test_a_job_stays_while_its_callback_is_to_be_sent() -> None:
    process = make_process()
    job = ended(process, make_worker("w", process))
    callback = Callback.objects.create(job=job, kind="success", url="http://localhost/", next_at=NOW())
    assert delete_jobs(before()) == 0
    Callback.objects.filter(pk=callback.pk).update(state="given_up")
    assert delete_jobs(before()) == 1


def test_a_value_that_another_job_has_as_well_stays() -> None:
    process, blob = make_process(), make_blob()
    worker = make_worker("w", process)
    new = ended(process, worker, blob, ago=timedelta(0))
    old = ended(process, worker, blob)
    assert delete_jobs(before()) == 1
    blob.refresh_from_db()
    assert blob.job_id == new.pk and not Job.objects.filter(pk=old.pk).exists()


def test_workers_that_do_not_come_again_go() -> None:
    process = make_process()
    gone, connected, busy, recent = (make_worker(name, process) for name in ("gone", "connected", "busy", "recent"))
    job = ended(process, gone)
    submitted(process)
    claimed(process, busy)
    Worker.objects.exclude(pk=recent.pk).update(last_seen=NOW() - OLD)
    Worker.objects.filter(pk=connected.pk).update(node="n1")
    assert delete_workers(before()) == 1
    assert set(Worker.objects.all()) == {connected, busy, recent}
    job.refresh_from_db()
    assert job.status == "successful" and job.worker is None


def test_replaced_versions_without_jobs_go() -> None:
    listed, _unused, used, offered, recent = (make_process(version=str(number), current=number == 0) for number in range(5))
    worker = make_worker("w", used)
    submitted(used)
    Registration.objects.create(worker=worker, process=offered)
    Process.objects.update(created=NOW() - OLD)
    Process.objects.filter(pk=recent.pk).update(last_online=NOW())
    assert delete_versions(before()) == 1
    assert set(Process.objects.all()) == {listed, used, offered, recent}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("kept", "left"), [(0, AT_ONCE + 5), (3600, 0)])
async def test_the_sweep_goes_by_batches_and_0_keeps_all(
    kept: int, left: int, runtime: Runtime, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.GEOSTREAM_PROCESS_JOBS_KEEP_SECONDS = settings.GEOSTREAM_PROCESS_WORKERS_KEEP_SECONDS = kept
    batches: list[int] = []

    def counted(moment: Any) -> int:
        batches.append(delete_jobs(moment))
        return batches[-1]

    monkeypatch.setattr(retention, "delete_jobs", counted)
    fields = {"process_identifier": "greet", "status": "failed", "created": NOW() - OLD, "updated": NOW(), "finished": NOW() - OLD}
    await database_sync_to_async(lambda: Job.objects.bulk_create(Job(**fields) for _ in range(AT_ONCE + 5)))()
    await runtime.service(Retention).sweep()
    assert await Job.objects.acount() == left
    assert batches == ([] if kept == 0 else [AT_ONCE, 5])
