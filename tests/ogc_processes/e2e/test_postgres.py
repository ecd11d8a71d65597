"""Workers and servers on PostgreSQL: two servers claim from one queue, and the database goes away and comes back."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest

from tests import processes
from tests.conftest import Serve, missing
from tests.processes import site_environment
from tests.profiles import LONG

from .site import QUICK, Site, lines, until

pytestmark = [pytest.mark.postgres, pytest.mark.long_form(only=True)]
NAME = f"geostream_workers_{uuid4().hex[:8]}"
COUNT = 200 if LONG else 75
"""Of jobs that run at most once, and as many that may be begun again."""


@pytest.fixture(scope="module")
def control() -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection to another database of the same server."""
    url = os.environ.get("GEOSTREAM_TEST_POSTGRES_URL", "")
    if not url:
        missing("PostgreSQL (GEOSTREAM_TEST_POSTGRES_URL)")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def database_url(control: psycopg.Connection[tuple[object, ...]]) -> Iterator[str]:
    control.execute(f"CREATE DATABASE {NAME}")
    yield urlunsplit(urlsplit(os.environ["GEOSTREAM_TEST_POSTGRES_URL"])._replace(path=f"/{NAME}"))
    control.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")


@pytest.fixture(scope="module")
def two_servers(serve: Serve, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    processes.manage("migrate", "-v", "0", env=site_environment(folder, DATABASE_URL=database_url))
    patient = {**QUICK, "GEOSTREAM_PROCESS_LEASE_SECONDS": "10", "GEOSTREAM_PROCESS_ACK_SECONDS": "5", "DATABASE_URL": database_url}
    site = Site([serve(**patient), serve(**patient)], folder)
    yield site
    site.end()
    for server in site.servers:
        server.stop()  # before its database is gone


@pytest.fixture
def site(two_servers: Site) -> Iterator[Site]:
    yield two_servers
    two_servers.reset()


@pytest.mark.long_form
def test_two_servers_never_claim_the_same_job(site: Site) -> None:
    for number in range(4):
        site.worker(f"w{number}", server=number % 2, concurrency=4)
    record = site.record()
    jobs = [*site.submit("once", COUNT, record=record), *site.submit("safely", COUNT, record=record)]
    assert Counter(each["status"] for each in site.ended(*jobs)) == {"successful": 2 * COUNT}
    begun = Counter(line.split()[1] for line in lines(record, "begin"))
    assert set(begun) == set(jobs) and set(begun.values()) == {1}
    assert len({line.split()[2] for line in lines(record, "begin")}) == 4, "all workers have a share"


@pytest.mark.long_form(only=True)  # usually on SQLite only (test_worker_faults.py), and what the database decides (test_on_postgres.py)
def test_a_killed_worker(site: Site) -> None:
    doomed = site.worker("doomed")
    record = site.record()
    once, safely = [*site.submit("once", record=record, seconds=2.0), *site.submit("safely", record=record, seconds=2.0)]
    until(lambda: len(lines(record, "begin")) == 2, "they begin")
    doomed.send_signal(signal.SIGKILL)
    site.worker("heir", server=1)
    assert [each["status"] for each in site.ended(once, safely)] == ["failed", "successful"]
    assert len(lines(record, f"begin {once}")) == 1 and len(lines(record, f"begin {safely}")) == 2


@pytest.mark.timeout(120)  # the servers wait for their database, and it for them
def test_a_database_that_goes_away_and_comes_back(site: Site, control: psycopg.Connection[tuple[object, ...]]) -> None:
    """As it does when it is restarted: all connections break, and none is accepted for some seconds."""
    for number in range(2):
        site.worker(f"w{number}", server=number, concurrency=4)
    record = site.record()
    jobs = [*site.submit("once", 75, record=record, seconds=0.1), *site.submit("safely", 75, record=record, seconds=0.1)]
    until(lambda: len(lines(record, "end")) > 20, "some are done")
    control.execute(f"ALTER DATABASE {NAME} ALLOW_CONNECTIONS false")
    control.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [NAME])
    time.sleep(3.0)  # what a restart takes; nothing can be waited for meanwhile
    control.execute(f"ALTER DATABASE {NAME} ALLOW_CONNECTIONS true")
    site.console.reconnect()
    ended = site.ended(*jobs, seconds=60)
    begun = Counter(line.split()[1] for line in lines(record, "begin"))
    assert Counter(each["status"] for each in ended) == {"successful": 150}
    assert set(begun) == set(jobs) and set(begun.values()) == {1}
