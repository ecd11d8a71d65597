"""Events: their feed, which is a log without state, and publishing to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from streaming.core.errors import StreamError
from streaming.core.feed import Feed, FeedOptions
from streaming.engine.conf import conf

EVENT_TYPES = ("file_change", "processing_status", "error", "progress", "custom")
MAX_EVENT_BYTES = 256 * 1024


def event_feed() -> Feed:
    """The feed of all events."""
    return Feed("events", FeedOptions(log_length=conf.EVENTS_LOG))


def publish_event(event_type: str, payload: Any) -> str:
    """Publish an event of one of the five types with any JSON payload; returns its cursor."""
    return str(event_feed().append_sync([_encode_event(event_type, payload)]))


async def apublish_event(event_type: str, payload: Any) -> str:
    """`publish_event` for coroutines."""
    return str(await event_feed().append([_encode_event(event_type, payload)]))


def _encode_event(event_type: str, payload: Any) -> bytes:
    """The stored form of an event that happens now. `StreamError` for an unknown type or a payload that is not JSON."""
    if event_type not in EVENT_TYPES:
        raise StreamError("bad_request", f"event_type must be one of {', '.join(EVENT_TYPES)}, not {str(event_type)[:40]!r}")
    timestamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    try:
        value = msgspec.json.encode({"event_type": event_type, "payload": payload, "timestamp": timestamp})
    except (TypeError, ValueError, RecursionError) as error:
        raise StreamError("bad_request", f"the payload is not JSON: {error}") from error
    if len(value) > MAX_EVENT_BYTES:
        raise StreamError("too_large", f"an event may have {MAX_EVENT_BYTES} bytes")
    return value
