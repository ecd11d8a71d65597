"""The Node SDK against a running server."""

from __future__ import annotations

import signal

import pytest

from tests.e2e.node_process import ROOT, node
from tests.processes import Process, run

from .site import Site, lines, until

pytestmark = pytest.mark.node


def start(site: Site, name: str, concurrency: int = 4, token: str = "", wait: bool = True) -> Process:
    environment = {**site.servers[0].environment, "GEOSTREAM_WORKER_TOKEN": token or site.token, "GEOSTREAM_WORKER_URL": site.url()}
    return site.program(name, [node(), "tests/ogc_processes/e2e/programs.mjs", name, concurrency], environment, wait)


def test_functions_do_jobs(site: Site) -> None:
    start(site, "one")
    record = site.record()
    (job,) = site.submit("node-once", record=record)
    assert site.ended(job)[0]["status"] == "successful"
    assert site.console.outputs(job)["text"]["value"].startswith("done by")
    assert site.console.log(job) == ["begun"] and len(lines(record, "end")) == 1


def test_failures_reach_the_client(site: Site) -> None:
    start(site, "one")
    jobs = site.ended(*(job for how in ("input", "job", "else") for job in site.submit("node-fail", how=how)))
    assert [(each["exception"]["status"], each["exception"]["title"], each["exception"]["detail"]) for each in jobs] == [
        (400, "Invalid input", "there is no such way"),
        (422, "Closed", "not today"),
        (500, "TypeError", "it is broken"),
    ]


def test_large_values_travel_as_blobs(site: Site) -> None:
    start(site, "one")
    (job,) = site.submit("node-repeat", text="0123456789", times=100_000)
    assert site.ended(job)[0]["exception"] is None
    assert site.console.outputs(job)["text"]["blob"] == '"' + "0123456789" * 100_000 + '"'
    blob = site.console.input_blob("x" * 1000)
    (job,) = site.console.submit("node-copy", {"data": blob, "times": 2000}, ring=False)
    site.console.attach(blob, job)
    assert site.ended(job)[0]["exception"] is None
    assert site.console.outputs(job)["data"]["blob"] == "x" * 2_000_000


def test_a_dismissed_job_ends_its_function(site: Site) -> None:
    start(site, "one")
    record = site.record()
    (job,) = site.submit("node-once", record=record, seconds=60)
    until(lambda: lines(record, "begin"), "the job begins")
    site.console.dismiss(job)
    until(lambda: site.console.workers()["one"]["online"], "it is there")
    assert site.ended(*site.submit("node-once", 4, record=record))[0]["status"] == "successful"
    assert site.status(job) == "dismissed" and not [line for line in lines(record, "end") if job in line]


@pytest.mark.long_form(only=True)
def test_a_worker_killed_in_the_middle_of_a_job_and_one_that_is_safe(site: Site) -> None:
    doomed = start(site, "doomed")
    record = site.record()
    once, safely = [*site.submit("node-once", record=record, seconds=2), *site.submit("node-safely", record=record, seconds=2)]
    until(lambda: len(lines(record, "begin")) == 2, "they begin")
    doomed.send_signal(signal.SIGKILL)
    start(site, "heir")
    assert [each["status"] for each in site.ended(once, safely)] == ["failed", "successful"]


def test_a_result_that_was_finished_while_the_server_was_away(site: Site) -> None:
    start(site, "one")
    record = site.record()
    (job,) = site.submit("node-once", record=record, seconds=0.5)
    until(lambda: lines(record, "begin"), "it begins")
    site.servers[0].kill()
    until(lambda: lines(record, "end"), "it ends")
    site.servers[0].start()
    assert site.ended(job)[0]["status"] == "successful" and len(lines(record, "begin")) == 1


@pytest.mark.long_form(only=True)
def test_a_continuous_job_goes_on_where_a_lost_worker_was(site: Site) -> None:
    doomed = start(site, "one")
    record = site.record()
    (job,) = site.submit("ticks", record=record)
    until(lambda: len(lines(record, "tick")) > 5, "it ticks")
    doomed.send_signal(signal.SIGKILL)
    start(site, "two")
    count = len(lines(record, "tick"))
    until(lambda: len(lines(record, "tick")) > count + 5, "it ticks again")
    numbers = [int(line.split()[1]) for line in lines(record, "tick")]
    assert numbers.count(1) == 1 and sorted(set(numbers)) == list(range(1, max(numbers) + 1))
    site.console.dismiss(job)


def test_a_worker_that_is_asked_to_end_does_its_jobs_first(site: Site) -> None:
    worker = start(site, "one")
    record = site.record()
    (job,) = site.submit("node-once", record=record, seconds=1)
    until(lambda: lines(record, "begin"), "it begins")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait() == 0 and site.status(job) == "successful"


def test_a_bad_token_ends_it(site: Site) -> None:
    assert start(site, "bad", token="nonsense", wait=False).wait() == 1


def test_its_types_are_right() -> None:
    compiler = (node("typescript"), "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--ignoreConfig", "--types", "")
    run(*compiler, "--lib", "ES2022,DOM", "processes/clients/node/index.d.ts", cwd=ROOT)
