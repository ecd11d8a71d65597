"""The service that has files become layers and tilesets, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING

from streaming.core.tasks import TaskSet
from streaming.engine.conf import conf
from streaming.engine.measures import Sample
from streaming.engine.service import Service
from streaming.files.service import FilesService

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime
    from streaming.files.folder import Folder

    from .ingestor import Ingestor

ENDINGS = [(kind, status) for kind in ("layer", "tileset") for status in ("ready", "failed", "ignored")]


class IngestionService(Service):
    """Ingests once there is a folder, if no other process does."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._files = runtime.service(FilesService)
        self._tasks = TaskSet()
        self.ingestor: Ingestor | None = None

    async def start(self) -> None:
        """Wait for the folder."""
        if conf.INGEST:
            self._files.when_opened(lambda folder: self._tasks.spawn(self._begin(folder)))

    async def stop(self) -> None:
        """Let another process go on."""
        self._tasks.cancel()
        if self.ingestor is not None:
            await self.ingestor.stop()

    def collect(self) -> Iterable[Sample]:
        """What was ingested, and what waits."""
        ingestor = self.ingestor
        for labels in ENDINGS:
            yield "geostream_ingests_total", labels, 0
        if ingestor is None:
            return
        from .file_events import file_events

        yield "geostream_ingesting", (), ingestor.leading
        yield "geostream_ingests_waiting", (), ingestor.waiting
        yield "geostream_ingest_seconds_total", (), ingestor.seconds
        for labels, count in ingestor.ended.items():
            yield "geostream_ingests_total", labels, count
        yield "geostream_file_events_dropped_total", (), sum(file_events.dropped.values())

    async def _begin(self, folder: Folder) -> None:
        ingestor = await asyncio.to_thread(import_module, "streaming.ingestion.ingestor")  # what it imports takes a moment
        self.ingestor = ingestor.Ingestor(folder, self.runtime.hub.node)
        self.ingestor.start()
