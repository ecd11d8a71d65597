"""The server's own events, for tests of what publishes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from streaming.core.redis import sync_redis
from streaming.features.events import event_feed
from streaming.features.server_events import server_events


@contextmanager
def server_events_on(settings: Any) -> Iterator[None]:
    """The server publishes them, which it does not in other tests."""
    settings.GEOSTREAM_SERVER_EVENTS = True
    server_events.flush()
    server_events._allowances.clear()
    yield
    server_events.flush()


def events() -> list[dict[str, Any]]:
    """What was published so far, whoever may read it."""
    assert server_events.flush(10)
    lines: Any = sync_redis().xrange(event_feed().log_key)
    found = [json.loads(fields[b"n"][13:]) for _, fields in lines]
    return [{"type": each["event_type"], **each["payload"]} for each in found]
