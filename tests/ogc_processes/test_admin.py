"""The admin of processes, jobs and workers."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from processes.jobs import outcomes
from processes.jobs.outcomes import OutputPart
from processes.models import Job, WorkerToken
from processes.workers.tokens import find_token

from .rows import claimed, lease_of, make_process, make_worker, submitted

pytestmark = pytest.mark.django_db


def page(client: Client, model: str, job: Job | None = None) -> str:
    name = f"admin:processes_{model}_" + ("change" if job else "changelist")
    response = client.get(reverse(name, args=[job.pk] if job else []))
    assert response.status_code == 200
    return response.content.decode()


def act(client: Client, action: str, job: Job) -> str:
    response = client.post(reverse("admin:processes_job_changelist"), {"action": action, "_selected_action": [str(job.pk)]}, follow=True)
    return response.content.decode()


def test_processes_are_listed_with_their_workers_and_jobs(admin_client: Client) -> None:
    process = make_process()
    make_worker("w", process)
    submitted(process, 2)
    text = page(admin_client, "process")
    assert "Greet" in text and 'status__exact=accepted">2</a>' in text and 'status__exact=running">0</a>' in text


def test_a_worker_is_listed_with_the_jobs_that_it_has_now(admin_client: Client) -> None:
    process, other = make_process(), make_process("other")
    worker = make_worker("w", process, other)
    submitted(process, 3)
    first, *_ = claimed(process, worker, 2)
    outcomes.succeed(lease_of(first), [])
    assert '<td class="field-jobs_now">1</td>' in page(admin_client, "worker")
    where = reverse("admin:processes_worker_change", args=[worker.pk])
    assert '<div class="readonly">1</div>' in admin_client.get(where).content.decode()


def test_jobs_are_sorted_only_by_what_there_is_an_index_for(admin_client: Client) -> None:
    submitted(make_process())
    sortable = re.findall(r'class="sortable column-(\w+)', page(admin_client, "job"))
    assert sortable == ["submitted"]


def test_a_job_is_shown_with_its_inputs_outputs_and_log(admin_client: Client) -> None:
    process = make_process()
    (job,) = submitted(process)
    (each,) = claimed(process, make_worker("laptop", process))
    outcomes.log(lease_of(each), "warning", "it is <late>")
    outcomes.succeed(lease_of(each), [OutputPart("greeting", "hello you")])
    text = page(admin_client, "job", job)
    assert "hello you" in text and "it is &lt;late&gt;" in text and "laptop" in text and "&quot;value&quot;: &quot;you&quot;" in text
    assert str(job.pk) in page(admin_client, "job")


def test_a_failed_job_shows_why(admin_client: Client) -> None:
    process = make_process()
    (job,) = submitted(process)
    (each,) = claimed(process, make_worker("w", process))
    outcomes.fail(lease_of(each), outcomes.problem(422, "No", "the polygon crosses itself"))
    assert "the polygon crosses itself" in page(admin_client, "job", job)


def test_a_job_is_dismissed_and_done_again(admin_client: Client) -> None:
    (job,) = submitted(make_process())
    assert "1 dismissed" in act(admin_client, "dismiss", job)
    job.refresh_from_db()
    assert job.status == "dismissed"
    assert "1 queued again" in act(admin_client, "requeue", job)
    job.refresh_from_db()
    assert job.status == "accepted" and job.finished is None


def test_a_job_that_waits_is_not_queued_again(admin_client: Client) -> None:
    (job,) = submitted(make_process())
    assert "0 queued again" in act(admin_client, "requeue", job)


def test_workers_are_listed_with_what_they_offer(admin_client: Client) -> None:
    make_worker("laptop", make_process(version="3.1"))
    assert "greet 3.1" in page(admin_client, "worker")


def test_a_worker_with_many_processes_has_one_short_row(admin_client: Client) -> None:
    worker = make_worker("laptop", *(make_process(f"p{number}") for number in range(5)))
    assert "p0 1.0.0, p1 1.0.0, p2 1.0.0 and 2 more" in page(admin_client, "worker") and worker.registrations.count() == 5


def test_jobs_are_found_by_their_id(admin_client: Client) -> None:
    first, second = submitted(make_process(), 2)
    response = admin_client.get(reverse("admin:processes_job_changelist"), {"q": str(first.pk)})
    text = response.content.decode()
    assert str(first.pk) in text and str(second.pk) not in text


def test_the_list_of_jobs_asks_the_database_as_often_however_many_there_are(
    admin_client: Client, django_assert_max_num_queries: object
) -> None:
    submitted(make_process(), 40)
    with django_assert_max_num_queries(15):  # type: ignore[operator]
        page(admin_client, "job")


def make_token(client: Client) -> str:
    """Makes a token as an operator does; returns what the page shows."""
    form = {
        "name": "laptop",
        "processes": '["buffer", "demo-*"]',
        "max_workers": "3",
        "max_concurrency": "9",
        "expires_0": "",
        "expires_1": "",
    }
    response = client.post(reverse("admin:processes_workertoken_add"), form, follow=True)
    found = re.search(r"<code>(gsw_[\w-]+)</code>", response.content.decode())
    assert found is not None, response.content.decode()
    return found[1]


def test_a_new_token_is_shown_once_and_works(admin_client: Client) -> None:
    text = make_token(admin_client)
    rights = find_token(text)
    assert rights is not None and rights.patterns == ("buffer", "demo-*") and (rights.max_workers, rights.max_concurrency) == (3, 9)
    assert text not in page(admin_client, "workertoken")
    assert WorkerToken.objects.get().created_by is not None


def test_a_token_is_for_all_processes_unless_it_says_which(admin_client: Client) -> None:
    address = reverse("admin:processes_workertoken_add")
    assert "[&quot;*&quot;]" in admin_client.get(address).content.decode()
    for processes in ("[]", '"buffer"', "[1]"):
        response = admin_client.post(address, {"name": "t", "processes": processes, "max_workers": "1", "max_concurrency": "1"})
        assert "A list of ids" in response.content.decode()
    assert not WorkerToken.objects.exists()


def test_a_token_is_revoked(admin_client: Client) -> None:
    text = make_token(admin_client)
    action = {"action": "revoke", "_selected_action": [str(WorkerToken.objects.get().pk)]}
    response = admin_client.post(reverse("admin:processes_workertoken_changelist"), action, follow=True)
    assert "1 revoked" in response.content.decode() and "revoked now" in response.content.decode()
    assert find_token(text) is None
