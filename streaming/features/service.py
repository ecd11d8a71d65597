"""The service of feature layers: watches the layers, and has expired features deleted."""

from __future__ import annotations

from collections.abc import Iterable

from streaming.engine.measures import Sample
from streaming.engine.service import Service

from .events import EVENT_TYPES
from .expiry import Expiry
from .layers import catalogue
from .muting import CHANGED, READ_SECONDS, muted
from .server_events import server_events

EXPIRY_SECONDS = 1.0


class FeatureService(Service):
    """Watches the layers that this process uses, and deletes expired features."""

    async def start(self) -> None:
        """Watch the layers, and delete expired features once a second."""
        self.runtime.watch(catalogue)
        await muted.read()
        self.runtime.hub.every(READ_SECONDS, muted.read)
        self.runtime.hub.on(CHANGED, lambda message: self.runtime.spawn(muted.read()))
        self.runtime.hub.every(EXPIRY_SECONDS, Expiry().expire_layers)

    def collect(self) -> Iterable[Sample]:
        """Events of its own."""
        for kind in EVENT_TYPES:
            yield "geostream_server_events_total", (kind,), server_events.published[kind]
            yield "geostream_server_events_dropped_total", (kind,), server_events.dropped[kind]
