"""OGC API - Processes as an installed part: geoprocesses that workers offer, and the jobs that clients run."""

from __future__ import annotations

from streaming.core.errors import ErrorKind
from streaming.engine.measures import Measure
from streaming.engine.registry import DemoPart, EngineApp, MapPart
from streaming.engine.settings import Setting

from .http.settings import MEASURES as HTTP_MEASURES
from .http.settings import SERVICES as HTTP_SERVICES
from .http.settings import SETTINGS as HTTP_SETTINGS

_DAY = 86_400


class ProcessesConfig(EngineApp):
    """Processes."""

    name = "processes"
    label = "processes"
    verbose_name = "Processes"
    dialect = "processes"
    services = (
        "processes.jobs.service.Jobs",
        "processes.jobs.retention.Retention",
        "processes.catalogue.ProcessCatalogue",
        "processes.workers.service.Workers",
        "processes.workers.blobs.WorkerBlobs",
        "processes.live.service.LiveJobs",
        *HTTP_SERVICES,
    )
    urlconf = "processes.urls"
    websocket_urlconf = "processes.workers.routing"
    messages = "processes.workers.message_types.SOCKET"
    topics = "processes.topics"
    largest_message = "PROCESS_FRAME_BYTES"
    page_addresses = ("PROCESS_URL",)
    live_diagnoses = ("processes.diagnosis.look_at_queues",)
    map = MapPart("processes/map/extend.js", stylesheet="processes/map.css", config="processes.http.map_page.config")
    demo = DemoPart(
        environment={"GEOSTREAM_PROCESS_ANONYMOUS": "1", "GEOSTREAM_PROCESS_OPEN_NAMES": "demo-*"},
        commands=[("process_worker", "--url", "ws://{address}/ws/processes", "--with-parent", "--drain-seconds", "1", "--verbosity", "0")],
        pages={"Processes": "/ogc/"},
    )
    settings = (
        Setting(
            "PROCESS_DATABASE_SECONDS", 30.0, "how long a database that does not answer is asked again before a request of a job fails"
        ),
        Setting("PROCESS_QUEUE", 10_000, "jobs that may wait for one process", least=1),
        Setting("PROCESS_QUEUE_OF_USER", 1000, "jobs of one user that may wait for one process (anonymous clients count as one)", least=1),
        Setting("PROCESS_QUEUE_SECONDS", 3600.0, "how long a job may wait for a worker, where its process does not say", least=1),
        Setting("PROCESS_RUN_SECONDS", 3600.0, "how long a job may run, where its process does not say", least=1),
        Setting(
            "PROCESS_WORKERLESS_SECONDS",
            30.0,
            "how long a job waits for a process that no worker offers before the dashboard and `doctor` speak of it",
        ),
        Setting("PROCESS_OFFLINE_SECONDS", 3600.0, "how long a process without workers stays listed"),
        Setting("PROCESS_JOBS_KEEP_SECONDS", 30 * _DAY, "how long jobs that have ended are kept, with their results (0: for ever)"),
        Setting(
            "PROCESS_WORKERS_KEEP_SECONDS",
            90 * _DAY,
            "how long workers that do not come again are remembered, and replaced versions of processes that have no jobs (0: for ever)",
        ),
        Setting("PROCESS_LEASE_SECONDS", 60.0, "silence of a worker after which its jobs are given to others, or fail", least=1),
        Setting("PROCESS_HEARTBEAT_SECONDS", 15.0, "how often workers say that they live; a third of the above or less", least=0.1),
        Setting("PROCESS_HELLO_SECONDS", 10.0, "how long a connection may stay without a worker's hello", least=0.1),
        Setting("PROCESS_ACK_SECONDS", 10.0, "how long a worker may take to say that it has received a job", least=0.1),
        Setting("PROCESS_CANCEL_SECONDS", 10.0, "how long a worker may take to end a job that is not wanted any more", least=0.1),
        Setting("PROCESS_CLAIM_SECONDS", 2.0, "how often the queues are looked at without a doorbell", least=0.1),
        Setting("PROCESS_PROGRESS_SECONDS", 1.0, "how often the progress of a job is stored at most"),
        Setting("PROCESS_LOG_LINES", 1000, "lines in the log of a job, of each attempt", least=0),
        Setting("PROCESS_OFFERS_OF_WORKER", 100, "processes that one worker may offer", least=1),
        Setting(
            "PROCESS_NEW_OF_TOKEN", 500, "processes, and versions of them, that workers of one token may register anew in an hour", least=1
        ),
        Setting("PROCESS_FRAME_BYTES", 1024 * 1024, "size of one message of a worker", least=1024),
        Setting("PROCESS_INLINE_BYTES", 256 * 1024, "size of a value in a message of a worker; larger ones are blobs", least=16),
        Setting(
            "PROCESS_MESSAGES_PER_SECOND", 100.0, "messages of a worker a second, besides what it says of jobs it was given", least=0.1
        ),
        Setting("PROCESS_BYTES_PER_SECOND", 4 * 1024 * 1024, "bytes of messages of a worker a second, likewise", least=1024),
        Setting("PROCESS_BLOB_BYTES", 1024 * 1024 * 1024, "size of one value that is uploaded or downloaded", least=1),
        Setting(
            "PROCESS_UNUSED_BLOB_BYTES", 10 * 1024**3, "bytes of such values that the workers of one token may have stored at once", least=1
        ),
        Setting("PROCESS_UNUSED_BLOB_SECONDS", 3600.0, "how long an uploaded value that no job uses is kept", least=1),
        Setting("PROCESS_FEATURES", 100_000, "features that a job of a built-in process may take, or make", least=1),
        Setting("PROCESS_POSITIONS", 1_000_000, "positions that the geometries of such a job may have", least=1),
        Setting("PROCESS_PIXELS", 25_000_000, "pixels of a raster that such a job may read at once", least=1),
        Setting(
            "PROCESS_OPEN_NAMES",
            "",
            "comma-separated layers and tilesets, and patterns of them (`demo-*`), that jobs of anybody may create and write",
        ),
        Setting(
            "PROCESS_EVENTS_PER_MINUTE",
            600,
            "events of jobs of one type that a server process publishes a minute; more are dropped",
            least=1,
        ),
        *HTTP_SETTINGS,
    )
    measures = (
        Measure("geostream_process_jobs_total", "counter", ("status",), "jobs submitted here, or that ended by what happened here"),
        Measure("geostream_process_workers", "gauge", (), "workers that are connected"),
        Measure("geostream_process_jobs_running", "gauge", (), "jobs that these workers have"),
        Measure("geostream_process_claims_total", "counter", (), "jobs that were given to these workers"),
        Measure(
            "geostream_process_leases_lost_total", "counter", (), "jobs that these workers lost: not acknowledged, or not renewed in time"
        ),
        Measure("geostream_process_messages_refused_total", "counter", (), "messages of these workers that were refused"),
        Measure("geostream_process_events_total", "counter", ("event_type",), "events of jobs and processes that were published here"),
        Measure("geostream_process_events_dropped_total", "counter", ("event_type",), "those that were too many, or lost with Redis"),
        *HTTP_MEASURES,
    )
    errors = (ErrorKind("queue_full", 429, True, "as many jobs wait for the process, or of the user, as may"),)
