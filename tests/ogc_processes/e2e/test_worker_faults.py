"""Workers that die, stand still, repeat themselves or lie."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from websockets.exceptions import ConnectionClosed

from ...profiles import only_long
from .site import Site, lines, until
from .unruly import UnrulyWorker, lease_in


@pytest.fixture
def unruly(site: Site) -> Iterator[UnrulyWorker]:
    with closing(UnrulyWorker(site.url(), site.token, "unruly").hello()) as worker:
        worker.offer("greet")
        yield worker


@pytest.mark.parametrize(("process", "status", "begun"), [only_long("once", "failed", 1), ("safely", "successful", 2)])
def test_a_worker_killed_in_the_middle_of_a_job(site: Site, process: str, status: str, begun: int) -> None:
    worker = site.worker("doomed")
    record = site.record()
    (job,) = site.submit(process, record=record, seconds=2.0)
    until(lambda: lines(record, "begin"), "the job begins")
    worker.send_signal(signal.SIGKILL)
    site.worker("heir")
    (ended,) = site.ended(job)
    assert ended["status"] == status and len(lines(record, f"begin {job}")) == begun
    assert len(lines(record, "end")) == (status == "successful")
    if status == "failed":
        assert (ended["exception"]["title"], ended["exception"]["status"]) == ("Worker lost", 500)


def test_a_worker_that_is_started_again_ends_what_it_had_at_once(site: Site) -> None:
    worker = site.worker("same")
    record = site.record()
    (job,) = site.submit("once", record=record, seconds=60)
    until(lambda: site.status(job) == "running", "the job runs")
    worker.send_signal(signal.SIGKILL)
    began = time.monotonic()
    site.worker("same")
    assert site.ended(job)[0]["status"] == "failed" and time.monotonic() - began < 10


def test_a_worker_that_stands_still_in_the_middle_of_a_job_loses_it(site: Site) -> None:
    frozen = site.worker("frozen")
    record = site.record()
    (job,) = site.submit("safely", record=record, seconds=1.0)
    until(lambda: lines(record, "begin"), "the job begins")
    os.kill(frozen.pid, signal.SIGSTOP)
    site.worker("heir")
    until(lambda: len(lines(record, f"begin {job}")) == 2, "another worker begins it")
    os.kill(frozen.pid, signal.SIGCONT)
    (ended,) = site.ended(job)
    assert ended["status"] == "successful" and ended["attempt"] == 2
    until(lambda: site.console.workers()["frozen"]["online"], "the frozen worker comes back")
    assert site.ended(*site.submit("count", 4, text="x"))[0]["status"] == "successful"
    assert site.status(job) == "successful" and len(site.console.attempts(job)) == 2


def test_a_worker_that_stands_still_before_it_is_given_a_job_does_not_begin_it_afterwards(site: Site) -> None:
    frozen = site.worker("frozen", concurrency=8)
    record = site.record()
    os.kill(frozen.pid, signal.SIGSTOP)
    (job,) = site.submit("once", record=record)
    until(lambda: site.console.workers()["frozen"]["suspect"], "it does not acknowledge")
    site.worker("heir", concurrency=1)
    assert site.ended(job)[0]["status"] == "successful"
    os.kill(frozen.pid, signal.SIGCONT)
    until(lambda: not site.console.workers()["frozen"]["suspect"], "the frozen worker is trusted again")
    assert len(lines(record, "begin")) == 1, "a process that is not declared safe never runs twice"


def test_an_acknowledgement_that_is_lost(site: Site, unruly: UnrulyWorker) -> None:
    (job,) = site.submit("greet", name="you")
    lost = unruly.job(accept=False)
    again = unruly.request("job.cancel")["params"]
    assert (again["leaseID"], again["reason"]) == (lost["leaseID"], "leaseLost")
    unruly.call("worker.heartbeat", jobs=[])
    second = unruly.job()
    assert second["leaseID"] != lost["leaseID"]
    assert unruly.call("job.result", **lease_in(lost), outputs={"greeting": {"value": "late"}})["code"] == -32011
    assert unruly.call("job.result", **lease_in(second), outputs={"greeting": {"value": "hi"}}) == {"status": "successful"}
    assert site.console.outputs(job)["greeting"]["value"] == "hi"


def test_a_result_that_is_sent_twice(site: Site, unruly: UnrulyWorker) -> None:
    (job,) = site.submit("greet", name="you")
    lease = lease_in(unruly.job())
    for value in ("first", "second"):
        assert unruly.call("job.result", **lease, outputs={"greeting": {"value": value}}) == {"status": "successful"}
    assert unruly.call("job.fail", **lease, error={"title": "No"})["code"] == -32012
    assert site.console.outputs(job)["greeting"]["value"] == "first" and site.status(job) == "successful"


def test_a_frame_of_a_hundred_megabytes_costs_others_nothing(site: Site) -> None:
    site.worker("honest")
    with closing(UnrulyWorker(site.url(), site.token, "liar").hello()) as liar:
        with pytest.raises(ConnectionClosed) as closed:
            liar.socket.send("x" * 100_000_000)
            liar.socket.recv(10)
        assert closed.value.rcvd is None or closed.value.rcvd.code in (1009, 4413)
    with closing(UnrulyWorker(site.url(), site.token, "liar").hello()) as liar:
        liar.socket.send("x" * 1_048_577)
        with pytest.raises(ConnectionClosed) as closed:
            liar.socket.recv(10)
        assert closed.value.rcvd is not None and closed.value.rcvd.code in (1009, 4413)
    assert site.ended(*site.submit("count", text="x"))[0]["status"] == "successful"


def test_a_worker_that_floods_is_closed_and_others_work_on(site: Site) -> None:
    site.worker("honest")
    with closing(UnrulyWorker(site.url(), site.token, "liar", max_queue=None).hello()) as liar:
        with pytest.raises(ConnectionClosed) as closed:
            for number in range(100_000):
                liar.notify("job.progress", jobID="0" * 32, attempt=1, leaseID="0" * 32, progress=1)
                if number % 100 == 99:  # what the server has not read when it closes would overtake what it says
                    liar.socket.ping().wait(1)
            while True:
                liar.socket.recv(10)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 4429
    assert site.ended(*site.submit("count", text="x"))[0]["status"] == "successful"
