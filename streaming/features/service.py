"""The service of feature layers: watches the layers, keeps the large ones in memory, and has expired features deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from streaming.engine.measures import Sample
from streaming.engine.service import Service

from .events import EVENT_TYPES
from .expiry import Expiry
from .kept_layers import KeptLayers
from .layers import catalogue
from .muting import CHANGED, READ_SECONDS, muted
from .server_events import server_events

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

EXPIRY_SECONDS = 1.0


class FeatureService(Service):
    """Watches the layers that this process uses, and deletes expired features."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._kept = KeptLayers(runtime)

    async def start(self) -> None:
        """Watch the layers, and delete expired features once a second."""
        self.runtime.watch(catalogue)
        await muted.read()
        self.runtime.hub.every(READ_SECONDS, muted.read)
        self.runtime.hub.on(CHANGED, lambda message: self.runtime.spawn(muted.read()))
        self.runtime.hub.every(EXPIRY_SECONDS, Expiry().expire_layers)
        await self._kept.start()

    def health(self) -> Mapping[str, bool]:
        """A process is ready once it has the large layers."""
        return {"large_layers": False} if self._kept.loading else {}

    def collect(self) -> Iterable[Sample]:
        """Events of its own."""
        for kind in EVENT_TYPES:
            yield "geostream_server_events_total", (kind,), server_events.published[kind]
            yield "geostream_server_events_dropped_total", (kind,), server_events.dropped[kind]
