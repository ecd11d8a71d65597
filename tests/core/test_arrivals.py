"""Newcomers are served a few milliseconds' worth in each turn of the event loop: those who are there go on meanwhile."""

from __future__ import annotations

import asyncio
from time import perf_counter

import pytest

from streaming.core import arrivals as module
from streaming.core.arrivals import Arrivals


@pytest.fixture
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a turn there is time for one newcomer."""
    monkeypatch.setattr(module, "TURN_SECONDS", 1e-9)
    monkeypatch.setattr(module, "FEWEST", 1)


async def begin(arrivals: Arrivals, done: list[str], name: str) -> None:
    async def work() -> None:
        done.append(name)

    await arrivals.begin(work())


async def turns_of_the_loop(done: list[str]) -> None:
    while True:
        done.append("others")
        await asyncio.sleep(0)


async def test_who_comes_while_nobody_waits_is_served_at_once() -> None:
    arrivals, done = Arrivals(), list[str]()
    assert arrivals.do(lambda: done.append("first"))
    await begin(arrivals, done, "second")
    assert done == ["first", "second"]


async def test_those_for_whom_a_turn_has_no_time_have_theirs_later_in_order(no_time: None) -> None:
    arrivals, done = Arrivals(), list[str]()
    assert arrivals.do(lambda: done.append("0"))
    assert not arrivals.do(lambda: done.append("1"))
    assert not arrivals.do(lambda: done.append("2"))
    last = [asyncio.create_task(begin(arrivals, done, name)) for name in "34"]
    await asyncio.gather(*last)
    assert done == ["0", "1", "2", "3", "4"]


async def test_others_have_their_turns_between_newcomers(no_time: None) -> None:
    arrivals, done = Arrivals(), list[str]()
    others = asyncio.create_task(turns_of_the_loop(done))
    await asyncio.gather(*(begin(arrivals, done, "newcomer") for _ in range(10)))
    others.cancel()
    assert "newcomer,newcomer" not in ",".join(done)


async def test_more_are_let_go_together_while_they_take_little(monkeypatch: pytest.MonkeyPatch) -> None:
    arrivals, done = Arrivals(), list[str]()
    monkeypatch.setattr(module, "TURN_SECONDS", 0.0)  # so that all have to wait
    newcomers = [asyncio.create_task(begin(arrivals, done, "newcomer")) for _ in range(300)]
    await asyncio.sleep(0)
    monkeypatch.setattr(module, "TURN_SECONDS", 1.0)
    turns = 0
    while len(arrivals):
        await asyncio.sleep(0)
        turns += 1
    await asyncio.gather(*newcomers)
    assert turns < 300 / module.FEWEST


async def test_one_that_gives_up_while_it_waits_keeps_nobody_waiting(no_time: None) -> None:
    arrivals, done = Arrivals(), list[str]()
    arrivals.do(lambda: None)
    waiting = [asyncio.create_task(begin(arrivals, done, name)) for name in "abc"]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.wait(waiting)
    assert done == ["a", "c"]


async def test_what_fails_is_raised_to_its_caller_and_others_go_on(no_time: None) -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    arrivals, done = Arrivals(), list[str]()
    arrivals.do(lambda: None)
    other = asyncio.create_task(begin(arrivals, done, "other"))
    with pytest.raises(ZeroDivisionError):
        await arrivals.begin(fails())
    await other
    assert done == ["other"]


async def test_time_that_is_waited_does_not_count() -> None:
    async def waits() -> None:
        await asyncio.wait((woken,))

    woken = asyncio.get_running_loop().create_future()
    arrivals = Arrivals()
    asyncio.get_running_loop().call_later(0.01, woken.set_result, None)
    began = perf_counter()
    await arrivals.begin(waits())
    assert perf_counter() - began > 0.005
    assert arrivals.do(lambda: None)
