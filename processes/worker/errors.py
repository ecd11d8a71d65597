"""What goes wrong with a process, for its author and for those who run it."""

from __future__ import annotations

from typing import Any


class ProcessDefinitionError(TypeError):
    """A function cannot be a process: something of its signature has no JSON Schema."""


class WorkerRefused(Exception):
    """The server does not take this worker, or a process of it, and will not later either."""

    def __init__(self, message: str, code: int = 0, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class JobCancelled(BaseException):
    """The job is not wanted any more: it was dismissed, ran too long, or was given to another worker.

    Not an `Exception`, so that a function that catches those does not go on with what nobody waits for.
    """

    def __init__(self, reason: str = "dismissed") -> None:
        super().__init__(reason)
        self.reason = reason


class JobFailed(Exception):
    """The job cannot be done. `status` is what HTTP clients get; with `retryable` another attempt may succeed."""

    def __init__(self, detail: str, *, title: str = "Process failed", status: int = 500, kind: str = "", retryable: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.title = title
        self.status = status
        self.kind = kind
        self.retryable = retryable

    def as_error(self) -> dict[str, Any]:
        """The `error` of job.fail."""
        error = {"title": self.title, "status": self.status, "detail": self.detail}
        return {**error, "type": self.kind} if self.kind else error


class BadInput(JobFailed):
    """An input is wrong in a way that its schema does not show. `pointer` is a JSON pointer into the input's value."""

    def __init__(self, detail: str, input: str = "", pointer: str = "") -> None:
        super().__init__(detail, title="Invalid input", status=400, kind="InvalidParameterValue")
        self.input = input
        self.pointer = pointer

    def as_error(self) -> dict[str, Any]:
        """With the place of what is wrong."""
        where = [{"input": self.input, "pointer": f"/inputs/{self.input}{self.pointer}", "detail": self.detail}] if self.input else []
        return {**super().as_error(), "inputs": where}
