"""What ends a sync, each with the exit code of the command."""

from __future__ import annotations

from typing import ClassVar

DONE, ERRORS, USAGE, STOPPED, CONFLICTS = range(5)
"""Exit codes: all is the same; something failed; wrong options; a safety rule stopped it; conflicts are left."""


class SyncError(Exception):
    """Something failed; the message says what and what to do."""

    exit_code: ClassVar[int] = ERRORS


class UsageError(SyncError):
    """The options do not make sense."""

    exit_code = USAGE


class SafetyStop(SyncError):
    """Going on might destroy what nobody wanted to delete."""

    exit_code = STOPPED


class Refused(SyncError):
    """The server refused a request."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.status, self.code = status, code


class Unreachable(SyncError):
    """The server does not answer."""


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the others."""
    errors = [first_error(each) if isinstance(each, BaseExceptionGroup) else each for each in group.exceptions]
    return next((each for each in errors if isinstance(each, SyncError)), errors[0])


class Changed(SyncError):
    """A file changed while it was read or before it was replaced: it is looked at again."""
