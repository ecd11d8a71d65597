"""The service that feeds layers from Redis in every process, if `GEOSTREAM_REDIS_LAYERS` names some."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from streaming.engine.conf import conf
from streaming.engine.measures import Sample
from streaming.engine.service import Service

if TYPE_CHECKING:
    from .layer_feeder import LayerFeeder


class FeedingService(Service):
    """One process's part in feeding layers."""

    feeder: LayerFeeder | None = None

    async def start(self) -> None:
        """Begin, if there is anything to feed. `ImproperlyConfigured` if the setting cannot be read."""
        if conf.REDIS_LAYERS:
            from .layer_feeder import LayerFeeder  # what it needs takes a moment to import

            self.feeder = LayerFeeder(self.runtime.hub.node)
            await self.feeder.start()

    async def stop(self) -> None:
        """Store what has arrived, and let another process go on."""
        if self.feeder is not None:
            await self.feeder.stop()

    def collect(self) -> Iterable[Sample]:
        """Counts of values and features."""
        if self.feeder is not None:
            yield "geostream_feeding_stored_total", (), self.feeder.stored
            yield "geostream_feeding_refused_total", (), self.feeder.refused
            yield "geostream_feeding_bad_total", (), self.feeder.bad
            yield "geostream_feeding_dropped_total", (), self.feeder.dropped
            yield "geostream_redis_gaps_total", (), self.feeder.gaps
