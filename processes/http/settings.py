"""The settings and metrics of the HTTP API of processes."""

from __future__ import annotations

from streaming.engine.measures import Measure
from streaming.engine.settings import Setting

MEBIBYTE = 1024 * 1024

SERVICES = ("processes.http.callbacks.sender.Callbacks",)

SETTINGS = (
    Setting("PROCESS_PATH", "ogc", "the path of OGC API - Processes on this site"),
    Setting(
        "PROCESS_URL",
        "",
        "the address of its landing page as clients see it, such as `https://maps.example.org/ogc`; empty: as each request has it",
    ),
    Setting("PROCESS_TITLE", "GeoStream processes", "the title of its landing page"),
    Setting("PROCESS_ANONYMOUS", False, "whether clients without a login may execute processes"),
    Setting("PROCESS_BODY_BYTES", 64 * MEBIBYTE, "size of an execute request", least=1024),
    Setting("PROCESS_SYNC_SECONDS", 60.0, "how long a request waits for its result at most; then it is answered with the job"),
    Setting("PROCESS_WORKER_SECONDS", 2.0, "how long a request that waits for its result waits for a worker to connect"),
    Setting("PROCESS_SYNC_JOBS_VISIBLE", True, "whether clients see the jobs of requests that waited for their result"),
    Setting("PROCESS_LINKS", 20, "inputs of an execute request that may be links"),
    Setting("PROCESS_LINK_BYTES", 64 * MEBIBYTE, "size of what the links of an execute request lead to, together", least=1),
    Setting("PROCESS_LINK_SECONDS", 20.0, "how long following the links of an execute request may take", least=0.1),
    Setting(
        "PROCESS_PRIVATE_ADDRESSES",
        "",
        "comma-separated hosts, addresses and networks (`10.1.0.0/16`) that links and callbacks may lead to although they are not public",
    ),
    Setting(
        "PROCESS_RESULT_BYTES",
        16 * MEBIBYTE,
        "outputs that are together up to this size are within a document of results, others are links",
        least=1,
    ),
    Setting(
        "PROCESS_MINIMAL_BYTES",
        4096,
        "the same for a client that prefers `return=minimal`",
        least=1,
    ),
    Setting("PROCESS_LIST_LIMIT", 100, "processes or jobs on a page, unless a client asks for another number", least=1),
    Setting("PROCESS_LIST_MOST", 10_000, "processes or jobs on a page at most", least=1),
    Setting("PROCESS_CALLBACK_SECONDS", 10.0, "how long the server that is called back may take to answer", least=0.1),
    Setting("PROCESS_CALLBACK_ATTEMPTS", 12, "how often a callback is tried, in two hours or so, before it is given up", least=1),
    Setting("PROCESS_CALLBACK_PROGRESS_SECONDS", 5.0, "how often a subscriber is called back for progress at most"),
    Setting("PROCESS_CALLBACK_SECRET", "", "the key that callbacks are signed with (HMAC-SHA256); empty: they are not"),
    Setting("PROCESS_EVENT_STREAMS", 1000, "clients of one server process that may follow jobs as server-sent events", least=1),
    Setting("PROCESS_EVENT_STREAMS_OF_CLIENT", 100, "of these those of one user, or of one address without a login", least=1),
    Setting("PROCESS_EVENT_SECONDS", 15.0, "quiet time of such a stream after which it has a comment, to keep it open", least=0.1),
    Setting("PROCESS_EVENT_MOST_SECONDS", 3600.0, "how long such a stream is kept open; browsers open it again", least=1),
)

MEASURES = (
    Measure("geostream_process_event_streams", "gauge", (), "clients that follow a job as server-sent events"),
    Measure("geostream_process_callbacks_total", "counter", ("outcome",), "callbacks that were sent, failed, or were given up here"),
    Measure("geostream_process_waiting_requests", "gauge", (), "requests that wait for the result of their job"),
)
