"""Ingestion as an installed part."""

from __future__ import annotations

from streaming.engine.measures import Measure
from streaming.engine.registry import DemoPart, EngineApp
from streaming.engine.settings import Setting

_GIB = 1024**3


class IngestionConfig(EngineApp):
    """Files that become layers and tilesets."""

    name = "streaming.ingestion"
    label = "streaming_ingestion"
    verbose_name = "Files that become layers and tilesets"
    requires = ("streaming.features", "streaming.tiles", "streaming.files")
    services = ("streaming.ingestion.service.IngestionService",)
    urlconf = "streaming.ingestion.urls"
    settings = (
        Setting("INGEST", True, "files of the folder become layers and tilesets"),
        Setting("INGEST_PATTERNS", "*", "which, as in .gitignore, comma-separated: `layers/**,tiles/**,!**/tmp/**`"),
        Setting("INGEST_JOBS", 2, "files that are ingested at the same time", least=1),
        Setting("INGEST_MAX_BYTES", 4 * _GIB, "size of a file with all that belongs to it, unpacked too", least=1),
        Setting("INGEST_MAX_FEATURES", 200_000, "features of a file", least=1),
        Setting("INGEST_MAX_PIXELS", 1 << 32, "pixels of a GeoTIFF", least=1),
        Setting("INGEST_SECONDS", 600.0, "how long reading a file may take", least=1.0),
        Setting("INGEST_MEMORY_BYTES", 3 * _GIB, "address space of a process that reads a file with GDAL", least=_GIB // 4),
        Setting("FILE_EVENTS_PER_MINUTE", 1200, "events about files of one type; more are dropped", least=1),
    )
    measures = (
        Measure("geostream_ingesting", "gauge", (), "1 where this process has files become layers and tilesets"),
        Measure("geostream_ingests_waiting", "gauge", (), "files that wait or are being ingested"),
        Measure("geostream_ingests_total", "counter", ("kind", "status"), "ingests that have ended"),
        Measure("geostream_ingest_seconds_total", "counter", (), "how long these took together"),
        Measure("geostream_file_events_dropped_total", "counter", (), "events about files that were too many, or lost with Redis"),
    )
    demo = DemoPart(environment={"GEOSTREAM_FILES_ANONYMOUS": "*=list read"})
