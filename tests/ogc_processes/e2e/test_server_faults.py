"""Servers that die, are two, or are restarted under load; and a database that is restarted."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Serve
from tests.profiles import LONG

from .site import QUICK, Site, lines, until

pytestmark = pytest.mark.long_form(only=True)

COUNT = 500 if LONG else 150
"""Of jobs that run at most once, and as many that may be begun again."""


@pytest.fixture(scope="module")
def two_servers(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    patient = {**QUICK, "GEOSTREAM_PROCESS_LEASE_SECONDS": "20", "GEOSTREAM_PROCESS_ACK_SECONDS": "5"}  # servers take seconds to start
    site = Site([serve(**patient), serve(**patient)], tmp_path_factory.mktemp("site"))
    yield site
    site.end()


@pytest.fixture
def site(two_servers: Site) -> Iterator[Site]:
    yield two_servers
    for server in two_servers.servers:
        if server.process is None:
            server.start()
    two_servers.reset()


def test_workers_of_two_servers_share_the_load(site: Site) -> None:
    site.worker("here", server=0, concurrency=2)
    site.worker("there", server=1, concurrency=2)
    record = site.record()
    jobs = site.submit("once", 40, record=record, seconds=0.1)
    assert {each["status"] for each in site.ended(*jobs)} == {"successful"}
    begun = lines(record, "begin")
    assert len(begun) == 40 and all(count > 5 for count in Counter(line.split()[2] for line in begun).values())
    assert len({line.split()[2] for line in begun}) == 2


def test_a_worker_that_moves_to_another_server_goes_on_with_its_job(site: Site) -> None:
    site.worker("mover", server=0)
    record = site.record()
    (job,) = site.submit("once", record=record, seconds=2.0)
    until(lambda: lines(record, "begin"), "the job begins")
    site.servers[0].kill()
    site.servers[0].start()
    (ended,) = site.ended(job)
    assert (ended["status"], ended["attempt"], len(lines(record, "begin"))) == ("successful", 1, 1)


def test_a_server_killed_between_claim_and_execute(site: Site) -> None:
    """The server is stopped, a job is put where it would have claimed it, and it is killed: nobody was given the job."""
    site.worker("waiting", server=0)
    record = site.record()
    os.kill(site.servers[0].pid, signal.SIGSTOP)
    (job,) = site.submit("once", record=record)
    site.console.claim_for("waiting", "once")
    site.servers[0].kill()
    assert site.console.jobs([job])[0]["attempt"] == 1 and site.status(job) == "accepted"
    site.servers[0].start()
    (ended,) = site.ended(job)
    assert ended["status"] == "successful" and len(lines(record, "begin")) == 1


@pytest.mark.slow
@pytest.mark.long_form
@pytest.mark.timeout(150)  # two servers start, and what was lost with their connections takes seconds to come back
def test_hundreds_of_jobs_over_a_restart(site: Site) -> None:
    for number, server in enumerate((0, 1, 0, 1)):
        site.worker(f"w{number}", server=server, concurrency=8)
    record = site.record()
    jobs = [*site.submit("once", COUNT, record=record), *site.submit("safely", COUNT, record=record)]
    until(lambda: len(lines(record, "end")) > 50, "some are done")
    site.servers[0].stop()
    site.servers[1].kill()
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda server: server.start(), site.servers))
    ended = site.ended(*jobs, seconds=90)
    begun = Counter(line.split()[1] for line in lines(record, "begin"))
    assert Counter(each["status"] for each in ended) == {"successful": 2 * COUNT}
    assert set(begun) == set(jobs)
    assert [begun[job] for job in jobs[:COUNT]] == [1] * COUNT, "none of those that may run once was begun twice"


def test_a_killed_server_does_not_keep_workers_in_the_list(site: Site) -> None:
    worker = site.worker("lost", server=1)
    worker.send_signal(signal.SIGSTOP)
    site.servers[1].kill()
    until(lambda: not site.console.workers()["lost"]["online"], "the other server sweeps it")
    worker.send_signal(signal.SIGCONT)
    site.servers[1].start()
    until(lambda: site.console.workers()["lost"]["online"], "it comes back")
