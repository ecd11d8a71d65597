"""Members are notified where messages of Redis may be missing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from streaming.core.redis import sync_redis
from streaming.engine.runtime import Runtime
from streaming.features.publishing import aensure_layer
from streaming.topics.service import Topics
from streaming.topics.tokens import mint
from tests.dialects.phoenix.conftest import Connect, phoenix
from tests.dialects.phoenix.peer import PhoenixPeer

from .history_scene import publish, until


async def joined(phoenix: Connect, topic: str) -> PhoenixPeer:
    peer = await phoenix()
    await peer.join(topic, token=mint("alice", "*"))
    await peer.receive_event("presence_state")
    await peer.receive_event("presence_diff")
    return peer


def cut(runtime: Runtime) -> Callable[[], bool]:
    """Redis ends the connection of the bus; returns whether messages arrive again."""
    bus = runtime.service(Topics).bus
    sync_redis().execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    return lambda: bus.gaps == 1 and bus.connected


async def test_a_member_is_notified_of_a_gap_and_receives_what_comes_after_it(phoenix: Connect, runtime: Runtime) -> None:
    peer = await joined(phoenix, "room:1")
    await until(cut(runtime))
    assert await peer.receive_event("gap") == [None, None, "room:1", "gap", {"count": None}]
    await publish("after")
    assert (await peer.receive())[3] == "after"


async def test_messages_that_found_no_room_are_a_gap_too(phoenix: Connect, runtime: Runtime) -> None:
    peer = await joined(phoenix, "room:1")
    list(runtime.service(Topics).bus._missed(7))
    assert (await peer.receive_event("gap"))[4] == {"count": None}  # 7 on all topics together


async def test_members_of_a_layer_miss_nothing(phoenix: Connect, runtime: Runtime) -> None:
    await aensure_layer("l")
    peer = await phoenix()
    await peer.join("layer:l")
    await until(cut(runtime))
    await peer.receive_nothing()


@pytest.fixture
def with_history(settings: object) -> None:
    settings.GEOSTREAM_TOPIC_HISTORY = "room:*"  # type: ignore[attr-defined]


async def test_members_of_a_topic_with_history_are_notified_if_no_process_received_everything(
    with_history: None, phoenix: Connect, runtime: Runtime
) -> None:
    writer = runtime.service(Topics).history.writer  # type: ignore[union-attr]
    await until(lambda: writer.keeping)
    peer = await joined(phoenix, "room:1")
    await until(cut(runtime))
    assert (await peer.receive_event("gap"))[4] == {"count": None}
    await publish("after")
    await peer.receive_event("after")


__all__ = ["phoenix"]
