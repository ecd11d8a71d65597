"""The service that has files become layers and tilesets, in one process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from streaming.engine.conf import conf
from streaming.engine.measures import Sample
from streaming.engine.service import Service
from streaming.files.service import FilesService

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

    from .ingestor import Ingestor

LOOK_SECONDS = 0.5
"""How often it is looked whether this process has opened the folder."""


class IngestionService(Service):
    """Ingests once there is a folder, if no other process does."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._files = runtime.service(FilesService)
        self.ingestor: Ingestor | None = None

    async def start(self) -> None:
        """Wait for the folder."""
        if conf.INGEST:
            self.runtime.hub.every(LOOK_SECONDS, self._begin)

    async def stop(self) -> None:
        """Let another process go on."""
        if self.ingestor is not None:
            await self.ingestor.stop()

    def collect(self) -> Iterable[Sample]:
        """What was ingested, and what waits."""
        ingestor = self.ingestor
        if ingestor is None:
            return
        from .file_events import file_events

        yield "geostream_ingesting", (), ingestor.leading
        yield "geostream_ingests_waiting", (), ingestor.waiting
        yield "geostream_ingest_seconds_total", (), ingestor.seconds
        for labels, count in ingestor.ended.items():
            yield "geostream_ingests_total", labels, count
        yield "geostream_file_events_dropped_total", (), sum(file_events.dropped.values())

    async def _begin(self) -> None:
        folder = self._files.opened
        if folder is not None and self.ingestor is None:
            from .ingestor import Ingestor  # what it imports takes a moment

            self.ingestor = Ingestor(folder, self.runtime.hub.node)
            self.ingestor.start()
