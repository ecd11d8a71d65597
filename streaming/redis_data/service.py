"""Feeds layers from Redis in every process, if `GEOSTREAM_REDIS_LAYERS` names some."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from streaming.engine.conf import conf
from streaming.engine.measures import Sample
from streaming.engine.service import Service

if TYPE_CHECKING:
    from .layer_feeder import Feeding


class FeedingService(Service):
    """One process's part in feeding layers."""

    feeding: Feeding | None = None

    async def start(self) -> None:
        """Begin, if there is anything to feed. `ImproperlyConfigured` if the setting cannot be read."""
        if conf.REDIS_LAYERS:
            from .layer_feeder import Feeding  # what it needs takes a moment to import

            self.feeding = Feeding(self.runtime.hub.node)
            await self.feeding.start()

    async def stop(self) -> None:
        """Store what has arrived, and let another process go on."""
        if self.feeding is not None:
            await self.feeding.stop()

    def collect(self) -> Iterable[Sample]:
        """What became of the values."""
        if self.feeding is not None:
            yield "geostream_feeding_stored_total", (), self.feeding.stored
            yield "geostream_feeding_refused_total", (), self.feeding.refused
            yield "geostream_feeding_bad_total", (), self.feeding.bad
            yield "geostream_feeding_dropped_total", (), self.feeding.dropped
