"""Events: a log without state, one feed for all of them."""

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


def event_value(event_type: str, payload: Any) -> bytes:
    """The stored form of an event that happens now. `StreamError` if the type is unknown or the payload is not JSON."""
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


def append_event_sync(event_type: str, payload: Any) -> str:
    """Publish an event; returns its cursor."""
    return str(event_feed().append_sync([event_value(event_type, payload)]))


async def append_event(event_type: str, payload: Any) -> str:
    """The same on the event loop."""
    return str(await event_feed().append([event_value(event_type, payload)]))
