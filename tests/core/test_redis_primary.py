"""Who the primary is, of what several say."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from streaming.core.redis_primary import Told, ask_majority

OLD, NEW = ("10.0.0.1", 6379), ("10.0.0.2", 6379)


@pytest.fixture
def late() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def refuse() -> Told:
    raise RedisConnectionError("refused")


def test_the_latest_election_counts_not_who_answers_first() -> None:
    assert ask_majority([lambda: Told(True, 1, OLD), lambda: Told(True, 2, NEW), refuse])[0] == Told(True, 2, NEW)


def test_who_knows_that_it_is_cut_off_is_not_believed() -> None:
    """A replica that is cut off may begin any number of elections."""
    assert ask_majority([lambda: Told(False, 9, OLD), lambda: Told(True, 2, NEW)])[0] == Told(True, 2, NEW)


def test_nobody_waits_for_others_than_a_majority(late: threading.Event) -> None:
    def silent() -> Told:
        late.wait()
        return Told(True, 9, OLD)

    assert ask_majority([silent, lambda: Told(True, 1, NEW), lambda: Told(True, 1, NEW)])[0] == Told(True, 1, NEW)


def test_where_no_majority_answers_the_others_count() -> None:
    told, errors = ask_majority([refuse, lambda: Told(True, 1, NEW), refuse])
    assert told == Told(True, 1, NEW)
    assert [str(error) for error in errors] == ["refused"] * 2


def test_nobody_may_know() -> None:
    assert ask_majority([lambda: None, lambda: None]) == (None, [])
