"""The tests of the queue, of the HTTP API and of workers once more, on PostgreSQL."""

from __future__ import annotations

import os
import sys

import pytest

from tests.conftest import missing
from tests.processes import run

ONCE_MORE = [
    f"tests/ogc_processes/{name}" for name in ("jobs", "http/test_jobs.py", "http/test_results.py", "http/test_callbacks.py", "workers")
]


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_processes_are_the_same_on_postgres() -> None:
    """The database is chosen when Django starts, so this takes a process of its own."""
    if not os.environ.get("GEOSTREAM_TEST_POSTGRES_URL"):
        missing("PostgreSQL (GEOSTREAM_TEST_POSTGRES_URL)")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    command = (sys.executable, "-m", "pytest", "--ds=tests.ogc_processes.postgres_settings", "-p", "no:cacheprovider")
    run(*command, *ONCE_MORE, env=environment, timeout=290)
