"""Telling a topic something from anywhere: a view, a task, a command, a signal."""

from __future__ import annotations

from typing import Any

from streaming.core.redis import async_redis, refusing, sync_redis

from .bridge import BROADCAST_CHANNEL, packed_broadcast
from .channel import packed
from .history_store import check_reserved_event, is_command, keep, keep_sync, keeps_history
from .messages import TopicMessage
from .names import check_event, check_topic


def broadcast(topic: str, event: str, payload: Any) -> int:
    """Tell everybody on a topic, in every process; returns how many processes heard it, or 1 if it was kept in the topic's history.

    JSON, or bytes for a binary push. `StreamError("redis_unavailable")`, or "bad_request" for names that cannot be.
    """
    message = _message(topic, event, payload)
    if _is_kept(message):
        keep_sync(message)
        return 1
    with refusing():
        heard: Any = sync_redis().publish(BROADCAST_CHANNEL, _packed(message))
    return int(heard)


async def abroadcast(topic: str, event: str, payload: Any) -> int:
    """The same on an event loop."""
    message = _message(topic, event, payload)
    if _is_kept(message):
        await keep([message])
        return 1
    with refusing():
        return int(await async_redis().publish(BROADCAST_CHANNEL, _packed(message)))


def _message(topic: str, event: str, payload: Any) -> TopicMessage:
    check_topic(topic)
    check_event(event)
    return TopicMessage(topic, event, *packed(payload))


def _is_kept(message: TopicMessage) -> bool:
    if not keeps_history(message.topic) or is_command(message.event):
        return False
    check_reserved_event(message)
    return True


def _packed(message: TopicMessage) -> bytes:
    return packed_broadcast(message.topic, message.event, message.payload, message.binary)
