"""The tests of processes once more, with everything on PostgreSQL: usually those of what the database decides, in the long form all.

What reads or writes jobs in ways of its own is here: the queue and its thread, outcomes, lists, results, callbacks, workers, the admin,
topics. Not here are tests whose subject is elsewhere (descriptions, documents, built-in processes, the SDKs), and those that start servers,
of which `e2e/test_postgres.py` has some on PostgreSQL in any case.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests import profiles
from tests.conftest import missing
from tests.databases import ON_POSTGRES
from tests.processes import run

HERE = Path(__file__).parent
CHOSEN = (
    "jobs",
    "http/test_jobs.py",
    "http/test_results.py",
    "http/test_callbacks.py",
    "workers",
    "live_jobs/test_topics.py",
    "test_admin.py",
)
AT_ONCE = ("-n", "2", "--dist", "loadfile")


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.long_form
@pytest.mark.timeout(1800 if profiles.LONG else 300)
@pytest.mark.skipif(ON_POSTGRES, reason="everything is on PostgreSQL already")
def test_processes_are_the_same_on_postgres() -> None:
    """The database is chosen when Django starts, so this takes a process of its own."""
    if not os.environ.get("GEOSTREAM_TEST_POSTGRES_URL"):
        missing("PostgreSQL (GEOSTREAM_TEST_POSTGRES_URL)")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_", "GEOSTREAM_TEST_RUN"))}
    environment = {**inherited, "GEOSTREAM_TEST_DATABASE": "postgres", "GEOSTREAM_TEST_PROFILE": "default"}
    chosen = (*AT_ONCE, str(HERE)) if profiles.LONG else tuple(str(HERE / name) for name in CHOSEN)
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *chosen)
    run(*command, env=environment, timeout=1790 if profiles.LONG else 290)
