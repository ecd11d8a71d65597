"""A test that hangs fails, its fixtures clean up after it and the other tests go on, whatever it hangs in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .processes import run
from .profiles import only_long

PROJECT = Path(__file__).parents[1]
LIMIT = 0.3
CONFTEST = """
import pytest
from tests import time_limits
from tests.time_limits import *

time_limits.LAST_RESORT_SECONDS = 0.5

@pytest.fixture(autouse=True)
def cleaned_up():
    yield
    print("cleaned up")
"""
CALL = """
import time

def test_hanging():
    time.sleep(60)
"""
LOOP = """
import asyncio

async def test_hanging():
    await asyncio.sleep(60)
"""
PROGRAM = """
from tests.processes import PIPE, Process

def test_hanging():
    with Process("sh", "-c", "trap '' TERM INT; sleep 60", stdout=PIPE) as process:
        process.stdout.readline()
"""
DEAF = """
import time

def test_hanging():
    try:
        time.sleep(60)
    except BaseException:
        time.sleep(60)
"""
FIXTURE = """
import pytest, time

@pytest.fixture
def hanging():
    yield
    time.sleep(60)

def test_failing(hanging):
    assert False
"""


def run_pytest(folder: Path, config: pytest.Config, test: str, *options: object) -> str:
    """What pytest prints of a module with this test and another one, under a short limit."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(f"{test}\n\ndef test_another():\n    pass\n")
    asyncio = {"asyncio_mode": "auto", "asyncio_default_fixture_loop_scope": "function"}
    settings = {**asyncio, "timeout": LIMIT, "timeout_method": config.getini("timeout_method")}
    (folder / "pytest.ini").write_text("\n".join(["[pytest]", *(f"{name} = {value}" for name, value in settings.items())]))
    plugins = ("no:django", "no:hypothesispytest", "no:schemathesis", "no:cacheprovider")
    options = (*options, "-rA", *(word for plugin in plugins for word in ("-p", plugin)))
    done = run(sys.executable, "-m", "pytest", folder, *options, cwd=PROJECT, check=False, timeout=55)
    printed = done.stdout + done.stderr
    assert done.returncode == 1 and "1 passed" in printed, printed
    return printed


@pytest.mark.parametrize("test", [CALL, LOOP, PROGRAM], ids=["call", "loop", "program"])
def test_a_test_that_hangs_fails_and_is_cleaned_up_after(tmp_path: Path, pytestconfig: pytest.Config, test: str) -> None:
    printed = run_pytest(tmp_path, pytestconfig, test, "-p", "no:xdist")
    assert f"Timeout (>{LIMIT}s)" in printed
    assert printed.count("cleaned up\n") == 2


@pytest.mark.parametrize(("test", "where"), [only_long(DEAF, "test_hanging", id="deaf"), pytest.param(FIXTURE, "hanging", id="fixture")])
def test_what_hangs_beyond_its_limit_is_ended_with_its_worker(tmp_path: Path, pytestconfig: pytest.Config, test: str, where: str) -> None:
    printed = run_pytest(tmp_path, pytestconfig, test, "-n", 1)
    assert "crashed while running" in printed
    assert f"in {where}\n" in printed
