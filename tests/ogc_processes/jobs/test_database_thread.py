"""The thread that does all of a process's work on the tables of jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from django.db import OperationalError, connection

from processes.jobs.database_thread import DatabaseThread


@pytest.mark.django_db(transaction=True)
async def test_one_that_fails_does_not_take_others_with_it() -> None:
    thread = DatabaseThread(0.0)

    def fail() -> None:
        raise ValueError("no")

    outcomes = await asyncio.gather(thread.run(lambda: 1), thread.run(fail), thread.run(lambda: 3), return_exceptions=True)
    assert [outcomes[0], str(outcomes[1]), outcomes[2]] == [1, "no", 3]
    await thread.stop()


@pytest.mark.django_db(transaction=True)
async def test_what_comes_after_its_end_is_refused() -> None:
    thread = DatabaseThread(0.0)
    await thread.stop()
    with pytest.raises(OperationalError, match="has ended"):
        await thread.run(lambda: 1)


@pytest.mark.django_db(transaction=True)
async def test_at_its_end_a_database_that_does_not_answer_is_asked_no_more() -> None:
    thread = DatabaseThread(3600.0)
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def away() -> None:
        loop.call_soon_threadsafe(asked.set)
        raise OperationalError("away")

    waiting = asyncio.create_task(thread.run(away))
    await asked.wait()
    await thread.stop()
    with pytest.raises(OperationalError, match="away"):
        await waiting


@pytest.mark.django_db(transaction=True)
async def test_what_is_the_same_for_many_is_one_call_where_the_last_of_them_is() -> None:
    thread = DatabaseThread(0.0)
    called: list[object] = []

    def double(numbers: Sequence[int]) -> list[int | Exception]:
        called.append(list(numbers))
        return [ValueError("no twos") if number == 2 else number * 2 for number in numbers]

    calls = [thread.run_together(double, 1), thread.run(lambda: called.append("between")), thread.run_together(double, 2)]
    first, _, second = await asyncio.gather(*calls, return_exceptions=True)
    assert (first, str(second)) == (2, "no twos") and called == ["between", [1, 2]]
    await thread.stop()


@pytest.mark.django_db(transaction=True)
async def test_one_that_spoils_a_call_for_many_fails_alone() -> None:
    thread = DatabaseThread(0.0)

    def double(numbers: Sequence[int]) -> list[int]:
        if 2 in numbers:
            raise ValueError("no twos")
        return [number * 2 for number in numbers]

    found = await asyncio.gather(*(thread.run_together(double, number) for number in (1, 2, 3)), return_exceptions=True)
    assert [found[0], str(found[1]), found[2]] == [2, "no twos", 6]
    await thread.stop()


@pytest.mark.django_db(transaction=True)
async def test_what_only_reads_has_a_transaction_only_beside_what_writes() -> None:
    thread = DatabaseThread(0.0)

    def in_transaction() -> bool:
        return connection.in_atomic_block

    alone = await asyncio.gather(*(thread.run(in_transaction, reads=True) for _ in range(2)))
    beside = await asyncio.gather(thread.run(in_transaction, reads=True), thread.run(in_transaction))
    assert (alone, beside) == ([False, False], [True, True])
    await thread.stop()
