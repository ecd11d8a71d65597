"""The app of the file sync dialect."""

from __future__ import annotations

from streaming.engine.measures import Measure
from streaming.engine.registry import EngineApp
from streaming.engine.settings import Setting


class FileSyncConfig(EngineApp):
    """File sync."""

    name = "streaming.dialects.file_sync"
    label = "streaming_file_sync"
    verbose_name = "File sync"
    dialect = "files"
    requires = ("streaming.files",)
    services = ("streaming.dialects.file_sync.service.FileSyncService",)
    websocket_urlconf = "streaming.dialects.file_sync.routing"
    messages = "streaming.dialects.file_sync.message_types.SOCKET"
    urlconf = "streaming.dialects.file_sync.urls"
    settings = (
        Setting("FILES_FRAME_BYTES", 64 * 1024, "size of one message of a file sync client", least=256),
        Setting("FILES_STALE_SECONDS", 300.0, "silence after which a file sync client is closed: no message, not even `Ping`", least=1),
        Setting("FILES_PATTERNS", 32, "patterns of one client", least=1),
        Setting("FILES_FILTERS", 200, "different lists of patterns that the clients of one process may have", least=1),
        Setting("FILES_GZIP_BYTES", 8192, "messages above this size are compressed, for clients that have asked for `gzip`", least=1),
    )
    measures = (
        Measure("geostream_files_subscribers", "gauge", (), "file sync clients that have subscribed"),
        Measure(
            "geostream_files_replays_total", "counter", ("outcome",), "clients that came back: `replayed` what they missed, or `resync`"
        ),
        Measure("geostream_files_replayed_total", "counter", (), "changes that were found for them"),
        Measure("geostream_files_stale_total", "counter", (), "clients closed because they were silent"),
        Measure("geostream_files_errors_total", "counter", (), "messages of clients that were answered with an Error"),
    )
