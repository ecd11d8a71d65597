"""The end of a test that hangs in spite of its time limit.

pytest-timeout raises in the test when its time is up (pyproject.toml, `timeout`). That can be caught, be lost in a task of asyncio, make
Hypothesis repeat what hangs, or be met by a fixture that hangs as well; and after a failure, pytest-timeout counts no more. So a little
later every thread's traceback is printed and the process ends: pytest-xdist calls the test failed and goes on with a new worker.
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Generator

import pytest

LAST_RESORT_SECONDS = 30.0
STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """For tracebacks, while pytest does not capture it."""
    config.stash[STDERR] = os.dup(2)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    _end_everything_later(item)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    _end_everything_later(item)  # again: pytest cancels it when a test has failed
    return (yield)


def _end_everything_later(item: pytest.Item) -> None:
    marker = item.get_closest_marker("timeout")
    limit = marker.args[0] if marker else item.config.getoption("timeout")
    if limit is None:
        limit = float(item.config.getini("timeout") or 0)
    if limit:
        faulthandler.dump_traceback_later(limit + LAST_RESORT_SECONDS, exit=True, file=item.config.stash[STDERR])
