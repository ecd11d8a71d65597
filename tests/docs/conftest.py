"""One server for all examples of the documents, with a flight in the air over a relief."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import streaming
from streaming.server.embedded_redis import start_redis
from tests.server_process import ServerProcess

RELIEF = Path(streaming.__path__[0]) / "demo" / "relief.tif"
FLIGHT = {
    "type": "Feature",
    "id": "AFR123",
    "geometry": {"type": "Point", "coordinates": [8.5, 47.4]},
    "properties": {"callsign": "AFR123", "altitude_ft": 36000},
}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Iterator[ServerProcess]:
    """A server with the layer `flights`, the tileset `relief` and a superuser admin/admin."""
    folder = tmp_path_factory.mktemp("documents")
    shutil.copy(migrated_database, folder / "geostream.sqlite3")
    with start_redis(folder / "redis") as redis, ServerProcess(folder, redis.url, {}) as running:
        running.publish("flights", FLIGHT)
        status, answer = running.post("/api/tilesets/", {"name": "relief", "kind": "raster", "source": str(RELIEF), "max_zoom": 7})
        assert status == 201, answer
        yield running
