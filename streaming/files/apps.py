"""Files as an installed part."""

from __future__ import annotations

from streaming.engine.admin_pages import AdminPage
from streaming.engine.measures import Measure
from streaming.engine.registry import EngineApp
from streaming.engine.settings import Setting

_GIB = 1024**3
_DAY = 86_400


class FilesConfig(EngineApp):
    """Files."""

    name = "streaming.files"
    label = "streaming_files"
    verbose_name = "Files"
    services = ("streaming.files.service.FilesService",)
    urlconf = "streaming.files.urls"
    admin_pages = (
        AdminPage(
            "folder",
            "Files",
            summary="the folder of files: how full it is, and conflicts",
            permission="streaming.list_files",
            order=60,
            url="admin:streaming_folder",
        ),
    )
    settings = (
        Setting("FILES_ROOT", "", "the folder on this machine's disk (empty: `files/` in the data folder)"),
        Setting("FILES_STORAGE", "", "a storage of Django's `STORAGES` instead, such as a bucket"),
        Setting("FILES_UPLOAD", True, "files may be uploaded, moved and deleted by clients (off: nobody's rights go beyond `list read`)"),
        Setting(
            "FILES_ANONYMOUS",
            "",
            "what anybody may do without a login: comma-separated `directory=rights`, such as `public=list read` (`*`: the whole folder)",
        ),
        Setting("FILES_MAX_BYTES", 16 * _GIB, "size of one file", least=1),
        Setting("FILES_QUOTA_BYTES", 0, "what all files may take together (0: as much as there is)"),
        Setting("FILES_FREE_BYTES", _GIB // 4, "what is to be left free on the disk; an upload that would take of it is refused"),
        Setting("FILES_MOST", 200_000, "files and directories", least=1),
        Setting("FILES_MOST_IN_DIRECTORY", 50_000, "files and directories right in one directory", least=1),
        Setting("FILES_DEPTH", 32, "parts of a path", least=1),
        Setting("FILES_LIST", 10_000, "entries of one page of a list", least=1),
        Setting("FILES_UPLOADS_AT_ONCE", 16, "uploads of one user, or address, that a process takes at the same time", least=1),
        Setting("FILES_UNFINISHED_UPLOADS", 1000, "resumable uploads of one user, or address, that are not complete", least=1),
        Setting("FILES_REQUESTS_PER_SECOND", 500.0, "requests of one user, or address, that a process answers a second", least=0.1),
        Setting("FILES_REQUESTS_BURST", 2000, "requests at once before that", least=1),
        Setting("FILES_BUNDLE", 200, "small files of one request that uploads or downloads many", least=1),
        Setting("FILES_BUNDLE_BYTES", 8 * 1024**2, "what these may take together", least=1024),
        Setting("FILES_IDLE_SECONDS", 30.0, "how long a request waits for the next piece of a body", least=0.1),
        Setting("FILES_LOCK_SECONDS", 10.0, "how long a change waits for another one of the same path", least=0.1),
        Setting("FILES_THREADS", 4, "threads that read and write files", least=1),
        Setting("FILES_DURABLE", True, "an upload is answered once it is on the disk (off: faster, but a power cut may lose it)"),
        Setting("FILES_LOG_LENGTH", 100_000, "changes kept, so that clients that come back receive what they missed ...", least=1),
        Setting("FILES_LOG_SECONDS", 7 * _DAY, "... and for how long", least=1),
        Setting("FILES_TRASH_SECONDS", 30 * _DAY, "how long deleted and replaced files are kept", least=1),
        Setting("FILES_AUDIT_SECONDS", 365 * _DAY, "how long it is known who changed what", least=1),
        Setting("FILES_TUS_SECONDS", _DAY, "how long an unfinished upload is kept", least=1),
        Setting("FILES_WATCH", True, "notice what other programs do in the folder"),
        Setting("FILES_SETTLE_SECONDS", 0.3, "how long a file must have been left alone before it is read", least=0.01),
        Setting("FILES_RESCAN_SECONDS", 600.0, "how often the whole folder is compared, in case an event was lost", least=1),
        Setting("FILES_POLL_SECONDS", 0.0, "look for changes so often, where the system reports none: network drives (0: it does)"),
    )
    diagnoses = ("streaming.files.diagnosis.look_at_folder",)
    measures = (
        Measure("geostream_files", "gauge", (), "files and directories in the folder"),
        Measure("geostream_files_bytes", "gauge", (), "what they take"),
        Measure("geostream_files_requests_total", "counter", ("action", "status"), "requests about files"),
        Measure("geostream_files_request_seconds_total", "counter", ("action",), "how long these took together"),
        Measure("geostream_files_received_bytes_total", "counter", (), "bytes of bodies that were uploaded"),
        Measure("geostream_files_sent_bytes_total", "counter", (), "bytes of files that were downloaded"),
        Measure("geostream_files_changes_total", "counter", ("action", "by"), "changes of the folder, by clients or by others"),
        Measure("geostream_files_hash_failures_total", "counter", (), "uploads that did not have the hash that was given"),
        Measure("geostream_files_conflicts_total", "counter", (), "changes refused because somebody else had changed the file before"),
        Measure("geostream_files_watching", "gauge", (), "1 where this process watches the folder"),
        Measure("geostream_files_unsettled", "gauge", (), "paths that were changed by others and are not announced yet"),
        Measure("geostream_files_unsettled_seconds", "gauge", (), "how long the oldest of them has been waiting"),
        Measure("geostream_files_audit_dropped_total", "counter", (), "changes of which no record could be kept"),
    )
