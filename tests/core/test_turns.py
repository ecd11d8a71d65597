"""Long work on the loop takes turns: everything else goes on meanwhile, and no owner waits for what another one has much of."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from streaming.core import turns as module
from streaming.core.turns import Pace, Turns


@pytest.fixture
def one_step_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROUND_SECONDS", 0.0)


def steps(done: list[str], name: str, count: int) -> Callable[[], bool]:
    left = iter(range(count - 1, -1, -1))

    def step() -> bool:
        done.append(name)
        return next(left) > 0

    return step


async def test_an_owner_with_much_work_does_not_keep_others_waiting() -> None:
    turns, done = Turns(), list[str]()
    for _ in range(50):
        turns.add("greedy", steps(done, "greedy", 10))
    await turns.finish("modest", steps(done, "modest", 3))
    assert done.index("modest") <= 1
    third = [number for number, name in enumerate(done) if name == "modest"][2]
    assert done[:third].count("greedy") <= 3


async def test_the_pieces_of_one_owner_have_their_turns_too() -> None:
    turns, done = Turns(), list[str]()
    turns.add("owner", steps(done, "long", 100))
    await turns.finish("owner", steps(done, "short", 2))
    second = [number for number, name in enumerate(done) if name == "short"][1]
    assert done[:second].count("long") <= 2


async def test_the_loop_goes_on_between_rounds(one_step_a_round: None) -> None:
    turns, done = Turns(), list[str]()
    asyncio.get_running_loop().call_later(0, done.append, "timer")
    await turns.finish("owner", steps(done, "step", 5))
    assert "timer" in done[:3]


async def test_what_fails_is_raised_where_it_is_waited_for() -> None:
    def fails() -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Turns().finish("owner", fails)


async def test_what_fails_alone_is_logged_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> bool:
        raise ZeroDivisionError

    turns = Turns()
    with caplog.at_level(logging.ERROR):
        turns.add("owner", fails)
        await turns.finish("other", lambda: False)
        await turns.finish("other", lambda: False)
    assert len(turns) == 0 and "a piece of work failed" in caplog.text


async def test_what_nobody_waits_for_any_more_takes_no_more_steps(one_step_a_round: None) -> None:
    turns, done = Turns(), list[str]()
    waiting = asyncio.create_task(turns.finish("owner", steps(done, "step", 1000)))
    await asyncio.sleep(0)
    waiting.cancel()
    await turns.finish("other", steps(done, "other", 5))
    assert done.count("step") < 10 and len(turns) == 0


def test_a_pace_is_found_by_trying() -> None:
    pace = Pace(100, 1, 400)
    pace.took(1.0)
    assert pace.size == 50
    for _ in range(10):
        pace.took(0.0)
    assert pace.size == 400
    for _ in range(10):
        pace.took(1.0)
    assert pace.size == 1
