"""Telling a topic something from anywhere: a view, a task, a command, a signal."""

from __future__ import annotations

from typing import Any

from streaming.core.redis import async_redis, refusing, sync_redis

from .bridge import BROADCAST_CHANNEL, packed_broadcast
from .channel import packed
from .names import check_event, check_topic


def broadcast(topic: str, event: str, payload: Any) -> int:
    """Tell everybody on a topic, in every process; returns how many processes heard it.

    JSON, or bytes for a binary push. `StreamError("redis_unavailable")`, or "bad_request" for names that cannot be.
    """
    with refusing():
        heard: Any = sync_redis().publish(BROADCAST_CHANNEL, _said(topic, event, payload))
    return int(heard)


async def abroadcast(topic: str, event: str, payload: Any) -> int:
    """The same on an event loop."""
    with refusing():
        return int(await async_redis().publish(BROADCAST_CHANNEL, _said(topic, event, payload)))


def _said(topic: str, event: str, payload: Any) -> bytes:
    check_topic(topic)
    check_event(event)
    data, binary = packed(payload)
    return packed_broadcast(topic, event, data, binary)
