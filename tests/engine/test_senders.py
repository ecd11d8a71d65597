"""Senders: whoever waits for a client to read asks them whether it is still there."""

from __future__ import annotations

import asyncio
from typing import Any

from streaming.dialects.phoenix.longpoll import PollSender
from streaming.engine.senders import AsgiSender


async def test_a_sender_whose_server_refuses_has_ended() -> None:
    async def refuse(message: dict[str, Any]) -> None:
        raise OSError("the client has gone")

    sender = AsgiSender(refuse)
    assert not sender.ended
    sender.write(["frame"])
    async with asyncio.timeout(5):
        while not sender.ended:
            await asyncio.sleep(0)
    assert not sender.writable


async def test_a_sender_that_is_closed_has_ended_at_once_and_still_says_what_waits() -> None:
    sent: list[str] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message.get("text", message["type"]))

    sender = AsgiSender(send)
    sender.write(["frame"])
    sender.close(1000, "an operator")
    assert sender.ended
    async with asyncio.timeout(5):
        while len(sent) < 2:
            await asyncio.sleep(0)
    assert sent == ["frame", "websocket.close"]
    sender.detach()


async def test_a_poller_that_is_closed_has_ended() -> None:
    sender = PollSender(lambda: None)
    assert not sender.ended
    sender.close(1000, "an operator")
    assert sender.ended
