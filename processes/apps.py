"""OGC API - Processes as an installed part: geoprocesses that workers offer, and the jobs that clients run."""

from __future__ import annotations

from streaming.core.errors import ErrorKind
from streaming.engine.measures import Measure
from streaming.engine.registry import EngineApp
from streaming.engine.settings import Setting


class ProcessesConfig(EngineApp):
    """Processes."""

    name = "processes"
    label = "processes"
    verbose_name = "Processes"
    services = ("processes.jobs.service.Jobs",)
    settings = (
        Setting(
            "PROCESS_DATABASE_SECONDS", 30.0, "how long a database that does not answer is asked again before a request of a job fails"
        ),
        Setting("PROCESS_QUEUE", 10_000, "jobs that may wait for one process", least=1),
        Setting("PROCESS_QUEUE_OF_USER", 1000, "jobs of one user that may wait for one process (anonymous clients count as one)", least=1),
        Setting("PROCESS_FEATURES", 100_000, "features that a job of a built-in process may take, or make", least=1),
        Setting("PROCESS_POSITIONS", 1_000_000, "positions that the geometries of such a job may have", least=1),
        Setting("PROCESS_PIXELS", 25_000_000, "pixels of a raster that such a job may read at once", least=1),
        Setting(
            "PROCESS_OPEN_NAMES",
            "",
            "comma-separated layers and tilesets, and patterns of them (`demo-*`), that jobs of anybody may create and write",
        ),
    )
    measures = (
        Measure("geostream_process_jobs_total", "counter", ("status",), "jobs submitted here, or that ended by what happened here"),
    )
    errors = (ErrorKind("queue_full", 429, True, "as many jobs wait for the process, or of the user, as may"),)
