"""Events: their feed, which is a log without state, and publishing to it."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha1
from typing import Any

import msgspec

from streaming.core.errors import StreamError
from streaming.core.feed import Cursor, Feed, FeedOptions
from streaming.core.json_values import check_integers
from streaming.engine.conf import conf

from .event_audience import EVERYBODY, Audience

CLIENT_EVENT_TYPES = ("file_change", "processing_status", "error", "progress", "custom")
"""Of events that clients may publish."""
EVENT_TYPES = (*CLIENT_EVENT_TYPES, "alert")
MAX_EVENT_BYTES = 256 * 1024


def event_feed() -> Feed:
    """The feed of all events."""
    return Feed("events", FeedOptions(log_length=conf.EVENTS_LOG))


def publish_event(event_type: str, payload: Any, idempotency_key: str | None = None, *, audience: Audience = EVERYBODY) -> str:
    """Publish an event of one of the types with any JSON payload; returns its cursor. Only its `audience` receives it.

    With an `idempotency_key` once: the same event with the same key is not published again for
    `GEOSTREAM_IDEMPOTENCY_SECONDS`, and its cursor is that of the first one. `StreamError("idempotency_key_reused")` for
    another event.
    """
    value = _encode_event(event_type, payload, audience)
    if idempotency_key is None:
        return str(event_feed().append_sync([value]))
    name, made_of = _digest(idempotency_key), _digest(event_type, payload, audience)
    return _first(event_feed().append_once_sync(value, name, made_of, conf.IDEMPOTENCY_SECONDS), made_of)


async def apublish_event(event_type: str, payload: Any, idempotency_key: str | None = None, *, audience: Audience = EVERYBODY) -> str:
    """`publish_event` for coroutines."""
    value = _encode_event(event_type, payload, audience)
    if idempotency_key is None:
        return str(await event_feed().append([value]))
    name, made_of = _digest(idempotency_key), _digest(event_type, payload, audience)
    return _first(await event_feed().append_once(value, name, made_of, conf.IDEMPOTENCY_SECONDS), made_of)


def _first(logged: tuple[Cursor, str], made_of: str) -> str:
    if logged[1] != made_of:
        raise StreamError("idempotency_key_reused", "another event was published with this idempotency key; take a new one for each event")
    return str(logged[0])


def _digest(*values: Any) -> str:
    return sha1(msgspec.json.encode(values, order="sorted"), usedforsecurity=False).hexdigest()


def _encode_event(event_type: str, payload: Any, audience: Audience) -> bytes:
    """The stored form of an event that happens now. `StreamError` for an unknown type or a payload that is not JSON."""
    if event_type not in EVENT_TYPES:
        raise StreamError("bad_request", f"event_type must be one of {', '.join(EVENT_TYPES)}, not {str(event_type)[:40]!r}")
    timestamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    try:
        restricted = {} if audience == EVERYBODY else {"audience": audience}
        value = msgspec.json.encode({"event_type": event_type, "payload": payload, "timestamp": timestamp, **restricted})
        check_integers(payload, value, "payload")
    except (TypeError, ValueError, RecursionError) as error:
        raise StreamError("bad_request", f"the payload is not JSON that every client can read: {error}") from error
    if len(value) > MAX_EVENT_BYTES:
        raise StreamError("too_large", f"an event may have {MAX_EVENT_BYTES} bytes")
    return value
