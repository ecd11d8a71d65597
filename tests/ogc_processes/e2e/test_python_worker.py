"""The Python SDK against a running server."""

from __future__ import annotations

import signal

from .site import Site, lines, until


def test_functions_do_jobs(site: Site) -> None:
    site.worker("one")
    record = site.record()
    jobs = [*site.submit("once", record=record), *site.submit("count", text="hello")]
    assert [each["status"] for each in site.ended(*jobs)] == ["successful", "successful"]
    assert {name: each["value"] for name, each in site.console.outputs(jobs[1]).items()} == {"total": 5, "text": "hello"}
    assert len(lines(record, "begin")) == len(lines(record, "end")) == 1


def test_failures_reach_the_client(site: Site) -> None:
    site.worker("one")
    jobs = site.ended(*(job for how in ("input", "job", "else") for job in site.submit("fail", how=how)))
    assert [(each["exception"]["status"], each["exception"]["title"], each["exception"]["detail"]) for each in jobs] == [
        (400, "Invalid input", "there is no such way"),
        (422, "Closed", "not today"),
        (500, "ValueError", "it is broken"),
    ]


def test_large_values_travel_as_blobs(site: Site) -> None:
    site.worker("one")
    (job,) = site.submit("repeat", text="0123456789", times=100_000)
    assert site.ended(job)[0]["exception"] is None
    assert site.console.outputs(job)["result"]["blob"] == '"' + "0123456789" * 100_000 + '"'
    blob = site.console.input_blob("x" * 1000)
    (job,) = site.console.submit("copy", {"data": blob, "times": 2000}, ring=False)
    site.console.attach(blob, job)
    assert site.ended(job)[0]["status"] == "successful"
    assert site.console.outputs(job)["result"]["blob"] == "x" * 2_000_000


def test_a_dismissed_job_ends_its_function(site: Site) -> None:
    site.worker("one", concurrency=1)
    record = site.record()
    job, following = site.submit("once", 2, record=record, seconds=60)
    until(lambda: lines(record, f"begin {job}") or lines(record, f"begin {following}"), "the job begins")
    first, second = (job, following) if lines(record, f"begin {job}") else (following, job)
    site.console.dismiss(first)
    until(lambda: lines(record, f"begin {second}"), "the next one begins")
    assert site.status(first) == "dismissed" and not lines(record, "end")


def test_a_continuous_job_goes_on_where_a_lost_worker_was(site: Site) -> None:
    first = site.worker("one")
    record = site.record()
    (job,) = site.submit("ticks", record=record)
    until(lambda: len(lines(record, "tick")) > 5, "it ticks")
    first.send_signal(signal.SIGKILL)
    site.worker("two")
    count = len(lines(record, "tick"))
    until(lambda: len(lines(record, "tick")) > count + 5, "it ticks again")
    numbers = [int(line.split()[1]) for line in lines(record, "tick")]
    assert numbers.count(1) == 1 and sorted(set(numbers)) == list(range(1, max(numbers) + 1))
    assert len(numbers) - len(set(numbers)) <= 2, "at most what was not stored yet comes again"
    site.console.dismiss(job)
    assert site.status(job) == "dismissed"


def test_a_worker_that_is_asked_to_end_does_its_jobs_first(site: Site) -> None:
    worker = site.worker("one")
    record = site.record()
    (job,) = site.submit("once", record=record, seconds=1.0)
    until(lambda: lines(record, "begin"), "the job begins")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert site.status(job) == "successful"


def test_a_worker_with_a_bad_token_says_so_and_ends(site: Site) -> None:
    worker = site.worker("bad", token="nonsense", wait=False)
    assert worker.wait() == 1
    assert "HTTP status 403" in (site.folder / "worker-bad.log").read_text()


def test_revoking_its_token_ends_a_worker_and_its_processes_are_offline(site: Site) -> None:
    worker = site.worker("revoked")
    site.revoke()
    assert worker.wait() == 1
    until(lambda: site.console.offered("once") == 0, "its processes go offline")
    site.worker("another")  # with another token, which may offer what belonged to the revoked one
