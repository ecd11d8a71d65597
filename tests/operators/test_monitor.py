"""Rates as operators see them."""

from __future__ import annotations

from streaming.operators.monitor import LONGEST_SECONDS, Rates


def test_one_look_tells_no_rate() -> None:
    rates = Rates()
    rates.look({"room:1": (5, 50)}, now=100)
    assert rates.of("room:1") == (None, None)


def test_two_looks_tell_the_growth_a_second() -> None:
    rates = Rates()
    rates.look({"room:1": (5, 50)}, now=100)
    rates.look({"room:1": (9, 130), "room:2": (2, 2)}, now=102)
    assert rates.of("room:1") == (2.0, 40.0)
    assert rates.of("room:2") == (1.0, 1.0)
    assert rates.of("room:3") == (0.0, 0.0)


def test_looks_that_are_too_close_change_nothing() -> None:
    rates = Rates()
    rates.look({"room:1": (0, 0)}, now=100)
    rates.look({"room:1": (10, 10)}, now=102)
    rates.look({"room:1": (1000, 1000)}, now=102.1)
    assert rates.of("room:1") == (5.0, 5.0)


def test_after_a_long_time_rates_begin_anew() -> None:
    rates = Rates()
    rates.look({"room:1": (0, 0)}, now=100)
    rates.look({"room:1": (10, 10)}, now=102)
    rates.look({"room:1": (1000, 1000)}, now=102 + LONGEST_SECONDS + 1)
    assert rates.of("room:1") == (None, None)


def test_a_topic_that_was_left_and_joined_again_counts_from_zero() -> None:
    rates = Rates()
    rates.look({"room:1": (100, 100)}, now=100)
    rates.look({"room:1": (4, 4)}, now=102)
    assert rates.of("room:1") == (2.0, 2.0)
