"""The times that a process reports of a change."""

from __future__ import annotations

import pytest

from streaming.core.delivery_trace import PullTrace
from streaming.engine.tracing import times_of


@pytest.mark.parametrize("stored_at", [99.0, 100.5])
def test_the_whole_is_never_less_than_its_parts(stored_at: float) -> None:
    """Also if this process heard of the change before the publishing one had the answer of Redis, or if their clocks differ."""
    pull = PullTrace(began=100.0, pulled=100.002, done=100.01, encoded=0.003, written=0.001, deliveries=1)
    times = times_of([pull], stored_at)
    parts = sum(times[each] for each in ("rung_ms", "pulled_ms", "judged_ms", "encoded_ms", "written_ms"))
    assert times["total_ms"] == pytest.approx(parts)
    assert times["rung_ms"] == max(100.0 - stored_at, 0) * 1000
