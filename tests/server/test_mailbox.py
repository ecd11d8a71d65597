"""A mailbox and a gate are the queue and the event that a connection needs."""

from __future__ import annotations

import asyncio

import pytest

from streaming.server.mailbox import Gate, Mailbox


async def test_messages_come_in_order_and_a_reader_waits_for_them() -> None:
    mailbox = Mailbox()
    reading = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    assert mailbox.empty() and not reading.done()
    for number in range(3):
        mailbox.put_nowait(number)
    assert [await reading, mailbox.get_nowait(), await mailbox.get()] == [0, 1, 2]
    assert (mailbox.qsize(), mailbox.empty()) == (0, True)


async def test_a_reader_that_is_cancelled_takes_nothing_with_it() -> None:
    mailbox = Mailbox()
    reading = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    mailbox.put_nowait("kept")
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled() and await mailbox.get() == "kept"


async def test_a_gate_is_open_at_first_and_keeps_those_that_come_while_it_is_shut() -> None:
    gate = Gate()
    await gate.wait()
    gate.clear()
    waiting = [asyncio.create_task(gate.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [True, False, False] and not gate.is_set()
    gate.set()
    gate.clear()
    async with asyncio.timeout(1):
        await asyncio.gather(*waiting[1:])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await gate.wait()
