"""The end of a test that hangs in spite of its time limit.

pytest-timeout raises in the test when its time is up (pyproject.toml, `timeout`). That can be caught, be lost in a task of asyncio, make
Hypothesis repeat what hangs, or be met by a fixture that hangs as well; and after a failure, pytest-timeout counts no more. So a little
later every thread's traceback is printed and the process ends: pytest-xdist calls the test failed and goes on with a new worker.

What waits for that is a thread. It is not begun anew for each of ten thousand tests: one that has begun within the last seconds will do.
"""

from __future__ import annotations

import faulthandler
import os
import time
from collections.abc import Generator
from dataclasses import dataclass

import pytest

LAST_RESORT_SECONDS = 30.0
"""How long after its limit a test is ended so, or a little earlier."""
KEPT = 0.2
"""For which part of these a thread that waits is kept for the next tests."""


@dataclass
class Waiting:
    """What prints the tracebacks: to a copy of stderr, which pytest does not capture."""

    stderr: int
    limit: float = 0.0
    since: float = 0.0


WAITING = pytest.StashKey[Waiting]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[WAITING] = Waiting(os.dup(2))


def pytest_unconfigure() -> None:
    faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    _end_everything_later(item)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> Generator[None, object, object]:
    """Again: pytest cancels it when a test has failed."""
    result = yield
    node.config.stash[WAITING].limit = 0.0
    if isinstance(node, pytest.Item):
        _end_everything_later(node)
    return result


def _end_everything_later(item: pytest.Item) -> None:
    marker = item.get_closest_marker("timeout")
    limit = marker.args[0] if marker else item.config.getoption("timeout")
    if limit is None:
        limit = float(item.config.getini("timeout") or 0)
    waiting, now = item.config.stash[WAITING], time.monotonic()
    if limit == waiting.limit and now - waiting.since < LAST_RESORT_SECONDS * KEPT:
        return
    waiting.limit, waiting.since = limit, now
    if limit:
        faulthandler.dump_traceback_later(limit + LAST_RESORT_SECONDS, exit=True, file=waiting.stderr)
    else:
        faulthandler.cancel_dump_traceback_later()
