"""What tests of ingestion share: a folder of the test's own, which is ingested in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from channels.db import database_sync_to_async

from streaming.core.feed import Feed
from streaming.engine.runtime import Runtime
from streaming.files.changes import OUTSIDE
from streaming.files.folder import Folder
from streaming.files.service import FilesService
from streaming.ingestion.ingestor import Ingestor
from streaming.ingestion.service import IngestionService
from streaming.models import FileIngest


def collection(*features: dict[str, Any]) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def point(id: Any, x: float = 8.0, y: float = 47.0, **properties: Any) -> dict[str, Any]:
    feature = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [x, y]}, "properties": properties}
    return feature if id is None else {**feature, "id": id}


class Drop:
    """Puts files into the folder and waits until they have become something."""

    def __init__(self, folder: Folder, ingestor: Ingestor) -> None:
        self.folder = folder
        self.ingestor = ingestor

    async def put(self, path: str, content: bytes | Path) -> None:
        """As an upload does."""
        staged = await self.folder.run(self.folder.store.staging.create)
        staged.write(content if isinstance(content, bytes) else content.read_bytes())
        await self.folder.upload(path, staged, OUTSIDE)

    async def delete(self, path: str) -> None:
        await self.folder.delete(path, OUTSIDE)

    async def settled(self) -> None:
        """Nothing waits any more."""
        async with asyncio.timeout(40):
            await self.folder.refresh()
            while self.ingestor.waiting or self.ingestor._changes:
                await asyncio.sleep(0.01)
                await self.folder.refresh()

    async def __call__(self, path: str, content: bytes | Path) -> FileIngest:
        await self.put(path, content)
        await self.settled()
        return self.ingestor.records.rows[path]


@pytest.fixture
def root(settings: Any, tmp_path: Path) -> Path:
    """The folder, which anybody may change; nobody watches it."""
    settings.GEOSTREAM_DATA_DIR = tmp_path
    settings.GEOSTREAM_FILES_ANONYMOUS = "*=list read write delete"
    settings.GEOSTREAM_FILES_WATCH = False
    settings.GEOSTREAM_FILES_FREE_BYTES = 0
    settings.GEOSTREAM_FILES_DURABLE = False
    return tmp_path / "files"


async def ingestor_of(runtime: Runtime) -> Ingestor:
    """The process's ingestor, once it leads and has compared everything."""
    service = runtime.service(IngestionService)
    await runtime.service(FilesService).folder()
    async with asyncio.timeout(20):
        while service.ingestor is None or service.ingestor._beginning is None or not service.ingestor._beginning.done():
            await asyncio.sleep(0.01)
    return service.ingestor


@pytest.fixture
async def drop(root: Path, runtime: Runtime) -> AsyncIterator[Drop]:
    ingestor = await ingestor_of(runtime)
    yield Drop(await runtime.service(FilesService).folder(), ingestor)


@database_sync_to_async
def _stored(layer: str) -> dict[str, Any]:
    return {key: json.loads(item.value) for key, item in Feed(f"layer:{layer}").read_sync().items.items()}


@pytest.fixture
def features() -> Callable[[str], Any]:
    """The features of a layer by key."""
    return _stored
