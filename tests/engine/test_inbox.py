"""Reading while a message is being handled: in order, within bounds, and leaving is noticed at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streaming.engine import inbox as inbox_module
from streaming.engine.inbox import Inbox

GONE = {"type": "websocket.disconnect", "code": 1006}


class Client:
    """What it sends, and how often it was read from."""

    def __init__(self) -> None:
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.reads = 0
        self.left = asyncio.Event()
        self.inbox = Inbox(self._receive, self.left.set)

    def send(self, *texts: str) -> None:
        for text in texts:
            self.sent.put_nowait({"type": "websocket.receive", "text": text})

    async def _receive(self) -> dict[str, Any]:
        self.reads += 1
        return await self.sent.get()


async def settled() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


async def test_what_needs_no_waiting_needs_no_task() -> None:
    client, tasks = Client(), asyncio.all_tasks()
    done: list[str] = []

    async def work() -> None:
        done.append("a")

    await client.inbox.handle(work())
    assert done == ["a"] and client.reads == 0 and asyncio.all_tasks() == tasks


async def test_leaving_is_noticed_while_a_message_is_handled() -> None:
    client, release = Client(), asyncio.Event()
    handling = asyncio.create_task(_handle(client.inbox, release))
    client.sent.put_nowait(GONE)
    await asyncio.wait_for(client.left.wait(), 5)
    assert not handling.done()
    release.set()
    await handling
    assert await client.inbox.next() == GONE


async def test_messages_keep_their_order_whoever_read_them() -> None:
    client, release = Client(), asyncio.Event()
    handling = asyncio.create_task(_handle(client.inbox, release))
    client.send("a", "b")
    await settled()
    release.set()
    await handling
    client.send("c")
    assert [(await client.inbox.next())["text"] for _ in range(3)] == ["a", "b", "c"]


@pytest.mark.parametrize(("size", "most"), [(1, inbox_module.MAX_MESSAGES), (inbox_module.MAX_BYTES, 1)])
async def test_no_more_is_read_than_may_wait(size: int, most: int) -> None:
    client, release = Client(), asyncio.Event()
    handling = asyncio.create_task(_handle(client.inbox, release))
    client.send(*["x" * size] * 100)
    await settled()
    assert client.reads == most
    release.set()
    await handling
    assert [len((await client.inbox.next())["text"]) for _ in range(100)] == [size] * 100


async def test_what_the_handler_raises_or_is_cancelled_with_is_its_own() -> None:
    client = Client()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    async def times_out() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()

    with pytest.raises(ZeroDivisionError):
        await client.inbox.handle(fails())
    await client.inbox.handle(times_out())
    handling = asyncio.create_task(_handle(client.inbox, asyncio.Event()))
    await settled()
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    client.inbox.close()


async def _handle(inbox: Inbox, release: asyncio.Event) -> None:
    async def work() -> None:
        await release.wait()

    await inbox.handle(work())
