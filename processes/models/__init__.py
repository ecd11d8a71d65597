"""The tables of processes: what workers offer, and the jobs that clients run. The database is the queue, and the only truth."""

from .blobs import Blob
from .callbacks import Callback
from .jobs import Attempt, Job, JobLog, JobOutput, JobRequest
from .processes import Process, Registration
from .workers import Worker, WorkerToken

__all__ = ["Attempt", "Blob", "Callback", "Job", "JobLog", "JobOutput", "JobRequest", "Process", "Registration", "Worker", "WorkerToken"]
