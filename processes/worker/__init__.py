"""Write processes in Python: a decorator over a typed function, and a worker that offers it to a server.

    from processes.worker import Job, Worker

    worker = Worker("my-machine")

    @worker.process(version="1.0.0")
    def greet(name: str, *, job: Job) -> str:
        \"\"\"Greet. Says hello to somebody.\"\"\"
        return f"Hello {name}"

    worker.run()

It needs nothing of the server: neither Django nor a database.
"""

from .annotations import CRS84, BBox, Feature, FeatureCollection, Geometry, Input, Media, Output, Schema
from .errors import BadInput, JobCancelled, JobFailed, ProcessDefinitionError, WorkerRefused
from .job import Job
from .worker import Worker

__all__ = [
    "CRS84",
    "BBox",
    "BadInput",
    "Feature",
    "FeatureCollection",
    "Geometry",
    "Input",
    "Job",
    "JobCancelled",
    "JobFailed",
    "Media",
    "Output",
    "ProcessDefinitionError",
    "Schema",
    "Worker",
    "WorkerRefused",
]
