"""What workers send: the parameters of each method. Members that are unknown are ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from processes.jobs.outcomes import ABOUT_BLANK, Lease, OutputPart, problem

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Short = Annotated[str, Meta(max_length=200)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Seconds = Annotated[float, Meta(gt=0, le=366 * 24 * 3600)]


def wire_name(name: str) -> str:
    """`job_id` as jobID, `run_seconds` as runSeconds."""
    first, *others = name.split("_")
    return first + "".join("ID" if each == "id" else each.capitalize() for each in others)


class Message(Struct, rename=wire_name, kw_only=True):
    """The parameters of a method."""


class Software(Message):
    """What the worker runs."""

    name: Short = ""
    version: Short = ""


class JobMessage(Message):
    """About a job that the worker has a lease of."""

    job_id: UUID
    attempt: Annotated[int, Meta(ge=0, le=32_767)]
    lease_id: UUID

    @property
    def lease(self) -> Lease:
        """The right to write for the job."""
        return Lease(self.job_id, self.attempt, self.lease_id)


class Resumed(JobMessage):
    """A job that a worker brings along when it connects again."""

    state: Literal["running", "done", "failed"] = "running"
    progress: Percent | None = None


class Hello(Message):
    """`worker.hello`. `instance_id` is new with each start of the worker's program: what the same one does not know, it never began."""

    protocol: Short
    worker_id: Name
    instance_id: Short = ""
    software: Software = field(default_factory=Software)
    concurrency: Count = 1
    features: list[Short] = []
    resume: Annotated[list[Resumed], Meta(max_length=10_000)] = []


class Retry(Message):
    """What may follow a lost worker."""

    mode: Literal["never", "safe"] = "never"
    max_attempts: Annotated[int, Meta(ge=1, le=100)] = 3


class Timeouts(Message):
    """How long jobs may wait, and run."""

    queue_seconds: Seconds | None = None
    run_seconds: Seconds | None = None


class Register(Message):
    """`process.register`."""

    process: dict[str, Any]
    concurrency: Count | None = None
    retry: Retry = field(default_factory=Retry)
    timeouts: Timeouts = field(default_factory=Timeouts)
    result_check: Literal["fail", "warn"] = "fail"
    continuous: bool = False


class Unregister(Message):
    """`process.unregister`."""

    process_id: Name
    version: Name


class Started(JobMessage):
    """`job.started`, `job.cancelled`."""


class Progress(JobMessage):
    """`job.progress`."""

    progress: Percent
    message: Annotated[str, Meta(max_length=10_000)] | None = None


class Log(JobMessage):
    """`job.log`."""

    message: str
    level: Literal["debug", "info", "warning", "error"] = "info"


class BlobReference(Message):
    """Bytes that were stored."""

    id: UUID
    size: int = 0
    sha256: Short = ""


class Part(Message):
    """An output: a value, a blob or a link."""

    value: Any | UnsetType = UNSET
    blob: BlobReference | None = None
    href: Annotated[str, Meta(max_length=2000, pattern="^https?://")] | None = None
    media_type: Short | None = None
    type: Short | None = None

    def as_output(self, output: str, seq: int = 0) -> OutputPart:
        """As it is stored. `ValueError` if it is not exactly one of the three."""
        if (self.value is not UNSET) + (self.blob is not None) + (self.href is not None) != 1:
            raise ValueError(f"the output {output[:100]!r} must have one of value, blob and href")
        return OutputPart(
            output=output,
            value=None if self.value is UNSET else self.value,
            blob=self.blob.id if self.blob else None,
            href=self.href or "",
            media_type=self.media_type or self.type or "",
            seq=seq,
        )


class Output(JobMessage):
    """`job.output`."""

    output_id: Name
    part: Part
    seq: Annotated[int, Meta(ge=0, le=2_000_000_000)] = 0
    last: bool = False


class Checkpoint(JobMessage):
    """`job.checkpoint`."""

    data: Any


class Result(JobMessage):
    """`job.result`."""

    outputs: Annotated[dict[Name, Part], Meta(max_length=1000)] = {}


class Failure(Message):
    """Why a job failed, or was rejected."""

    title: Annotated[str, Meta(max_length=1000)] = "Process failed"
    detail: Annotated[str, Meta(max_length=10_000)] = ""
    type: Short | None = None
    status: Annotated[int, Meta(ge=400, le=599)] | None = None
    inputs: list[Any] = []

    def as_exception(self, status: int) -> dict[str, Any]:
        """As clients get it; `status` where the worker says none."""
        more = {"errors": self.inputs} if self.inputs else {}
        return problem(self.status or status, self.title, self.detail or self.title, self.type or ABOUT_BLANK, **more)


class Fail(JobMessage):
    """`job.fail`."""

    error: Failure = field(default_factory=Failure)
    retryable: bool = False


class HeartbeatJob(JobMessage):
    """A job that the worker does."""

    progress: Percent | None = None


class Heartbeat(Message):
    """`worker.heartbeat`."""

    jobs: Annotated[list[HeartbeatJob], Meta(max_length=10_000)] = []
    free: int | None = None


class Drain(Message):
    """`worker.drain`."""

    deadline_seconds: float | None = None
