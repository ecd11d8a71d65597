"""Publishes messages on topics from the Python code of a project: from a view, a task, a command, a signal."""

from __future__ import annotations

from typing import Any

from streaming.core.redis import async_redis, refusing, sync_redis

from .bridge import BROADCAST_CHANNEL, packed_broadcast
from .channel import packed
from .history_store import check_reserved_event, is_command, keep, keep_sync, keeps_history
from .messages import TopicMessage
from .names import check_event, check_topic


def broadcast(topic: str, event: str, payload: Any) -> int:
    """Send an event to all members of a topic, in every process. Returns how many processes received it, or 1 if the topic keeps a history.

    JSON, or bytes for a binary push. `StreamError("redis_unavailable")`, or "bad_request" for names that cannot be.
    """
    message = _message(topic, event, payload)
    if _is_kept(message):
        keep_sync(message)
        return 1
    with refusing():
        received: Any = sync_redis().publish(BROADCAST_CHANNEL, _packed(message))
    return int(received)


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
