"""The channel layer: what is sent arrives at once, though it is waited for and not asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from streaming import channel_layer
from streaming.channel_layer import ChannelLayer
from tests.timers import timers_set


@pytest.fixture
async def layer(redis: None) -> AsyncIterator[ChannelLayer]:
    layer = ChannelLayer()
    yield layer
    async with asyncio.timeout(5):
        await layer.flush()


async def test_what_is_sent_to_a_group_arrives_at_once(layer: ChannelLayer) -> None:
    channel = await layer.new_channel()
    await layer.group_add("group", channel)
    for number in range(3):
        await layer.group_send("group", {"type": "greeting", "number": number})
        async with asyncio.timeout(channel_layer.WAIT_SECONDS / 2):
            assert await layer.receive(channel) == {"type": "greeting", "number": number}


async def test_what_is_joined_while_the_connection_waits_is_heard(layer: ChannelLayer) -> None:
    channel = await layer.new_channel()
    await layer.send(channel, {"type": "first"})
    assert await layer.receive(channel) == {"type": "first"}  # from here on it waits
    await layer.group_add("group", channel)
    await layer.group_send("group", {"type": "second"})
    async with asyncio.timeout(channel_layer.WAIT_SECONDS / 2):
        assert await layer.receive(channel) == {"type": "second"}


async def test_a_message_is_waited_for_patiently(layer: ChannelLayer) -> None:
    channel = await layer.new_channel()
    with timers_set() as timers:
        await layer.send(channel, {"type": "first"})
        await layer.receive(channel)
        await asyncio.sleep(0)
    assert timers
    assert min(timer.seconds for timer in timers) > 0.9 * min(channel_layer.WAIT_SECONDS, 3)
