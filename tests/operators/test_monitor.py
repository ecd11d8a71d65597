"""Rates as operators see them."""

from __future__ import annotations

from typing import Any

from streaming.core.redis import sync_redis
from streaming.engine.runtime import Runtime
from streaming.operators.monitor import LEAVE_OUT_AFTER, LONGEST_SECONDS, LOOK_EVERY, Rates
from streaming.operators.presence_announcer import ADMIN
from streaming.operators.service import Operators
from streaming.topics.presence_store import presence_feed


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


def times_looked_for_operators() -> int:
    """How often Redis was asked how many there are."""
    stats: Any = sync_redis().info("commandstats")
    return int(stats.get("cmdstat_hlen", {"calls": 0})["calls"])


def come_elsewhere() -> None:
    """An operator is a member in another process."""
    sync_redis().hset(presence_feed(ADMIN).keys[0], "somebody", "0000000000000{}")


async def test_operators_elsewhere_are_looked_for_seldom_while_there_are_none(runtime: Runtime) -> None:
    monitor, before = runtime.service(Operators).monitor, times_looked_for_operators()
    for _ in range(10 * LOOK_EVERY):
        assert not await monitor._watched()
    assert LEAVE_OUT_AFTER < times_looked_for_operators() - before < LEAVE_OUT_AFTER + 15


async def test_whoever_asks_for_a_report_is_looked_for_again(runtime: Runtime) -> None:
    monitor = runtime.service(Operators).monitor
    for _ in range(LEAVE_OUT_AFTER + 1):
        assert not await monitor._watched()
    come_elsewhere()
    assert not await monitor._watched()
    monitor._asked()
    for _ in range(2 * LOOK_EVERY):
        assert await monitor._watched()


async def test_an_operator_whose_request_was_lost_is_found_after_a_while(runtime: Runtime) -> None:
    monitor = runtime.service(Operators).monitor
    for _ in range(LEAVE_OUT_AFTER + 1):
        assert not await monitor._watched()
    come_elsewhere()
    assert any([await monitor._watched() for _ in range(LOOK_EVERY)])
    assert await monitor._watched()
