"""Delays before another attempt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streaming.client import Backoff
from tests.client.conftest import Naps


def test_the_ceiling_doubles_from_one_second_to_a_minute() -> None:
    assert [Backoff().ceiling(attempt) for attempt in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_long_outage_does_not_overflow() -> None:
    assert Backoff().ceiling(1_000_000) == 60


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 100))
async def test_a_delay_is_between_nothing_and_the_ceiling(chance: float, attempt: int) -> None:
    naps = Naps()
    backoff = Backoff(random=lambda: chance, sleep=naps.sleep)
    await backoff.wait(attempt)
    assert naps.seconds == [chance * backoff.ceiling(attempt)]
    assert 0 <= naps.seconds[0] <= 60


def test_attempts_end_if_they_are_limited() -> None:
    assert [Backoff(attempts=2).exhausted(attempt) for attempt in range(3)] == [False, False, True]
    assert not Backoff().exhausted(1_000_000)
