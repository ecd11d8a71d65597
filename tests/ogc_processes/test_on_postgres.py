"""The tests of processes once more, with everything on PostgreSQL: usually those of what the database decides, in the long form all.

Here is what the database decides: all of the queue and its thread, of outcomes and of retention; of the rest each kind of statement once
(locks, lists with filters, values of type `json`, what a database cannot store, rows that two processes write). Tests that start servers
are not here: `e2e/test_postgres.py` has some on PostgreSQL in any case.
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

pytestmark = pytest.mark.long_form(only=True)

HERE = Path(__file__).parent
CHOSEN = {
    "jobs": (),
    "http/test_jobs.py": (
        "test_jobs_are_seen_by_their_owner_and_by_staff",
        "test_jobs_are_listed_with_the_newest_first_page_by_page",
        "test_filters_stay_from_page_to_page",
        "test_jobs_of_some_processes_and_states",
        "test_jobs_of_a_time",
        "test_jobs_by_how_long_they_took",
    ),
    "http/test_results.py": ("test_values_are_as_they_were_given_and_in_their_order", "test_bytes_in_storage_are_delivered_like_values"),
    "http/test_callbacks.py": ("test_a_callback_is_taken_once", "test_what_a_process_that_died_was_sending_is_sent_by_another"),
    "workers/test_blobs.py": ("test_the_files_of_a_job_go_with_it",),
    "workers/test_connecting.py": (
        "test_the_row_of_a_worker_says_when_it_has_left",
        "test_workers_of_a_dead_server_process_are_swept",
        "test_rows_that_another_process_swept_are_written_anew",
    ),
    "workers/test_jobs.py": (
        "test_a_job_is_done",
        "test_a_log_has_lines_within_a_limit",
        "test_parts_and_checkpoints_are_stored_when_they_are_acknowledged",
        "test_dismissing_a_job_reaches_its_worker_and_frees_the_slot",
        "test_a_worker_that_comes_back_goes_on_with_its_job",
        "test_what_a_restarted_worker_does_not_bring_along_is_lost_at_once",
    ),
    "workers/test_lying.py": ("test_values_that_databases_cannot_store", "test_texts_that_databases_cannot_store"),
    "workers/test_registering.py": (
        "test_workers_with_the_same_description_join",
        "test_a_new_version_is_listed_and_the_old_one_is_drained",
    ),
    "live_jobs/test_topics.py": ("test_nothing_is_missed_between_the_look_into_the_database_and_the_reply",),
    "test_admin.py": (
        "test_jobs_are_found_by_their_id",
        "test_the_list_of_jobs_asks_the_database_as_often_however_many_there_are",
    ),
}
"""Modules, or a folder, with the tests of them that run in every run; of a module without any, all."""
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
    chosen = [f"{HERE / module}::{test}" if test else str(HERE / module) for module, tests in CHOSEN.items() for test in tests or ("",)]
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *((*AT_ONCE, str(HERE)) if profiles.LONG else chosen))
    run(*command, env=environment, timeout=1790 if profiles.LONG else 290)
