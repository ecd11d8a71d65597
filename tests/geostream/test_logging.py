"""What is logged, is logged once."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


def handlers(logger: logging.Logger | None) -> Iterator[logging.Handler]:
    """Those that write down a record of the logger, leaving out pytest's own."""
    while logger is not None:
        yield from (handler for handler in logger.handlers if type(handler) is logging.StreamHandler)
        logger = logger.parent if logger.propagate else None


@pytest.mark.parametrize("name", ["django.request", "streaming.engine.websocket", "daphne"])
def test_a_line_is_written_once(name: str) -> None:
    assert len(list(handlers(logging.getLogger(name)))) == 1
