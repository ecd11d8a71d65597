"""What `manage.py doctor` says: findings of diagnoses, which every installed part may declare (`EngineApp.diagnoses`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from redis.exceptions import RedisError

from streaming.core.errors import StreamError


class Level(IntEnum):
    """How bad it is; the worst of all is the exit code."""

    OK = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the page: what was looked at, how it is, and what to do if it is not well."""

    level: Level
    subject: str
    message: str
    hint: str = ""


Diagnosis = Callable[[], Iterable[Finding]]
"""A function that looks at something and may block for seconds."""


def ok(subject: str, message: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, subject, message)


def warning(subject: str, message: str, hint: str = "") -> Finding:
    """Works, but not for long, not for many or not safely."""
    return Finding(Level.WARNING, subject, message, hint)


def error(subject: str, message: str, hint: str = "") -> Finding:
    """Does not work, or loses data."""
    return Finding(Level.ERROR, subject, message, hint)


def findings(diagnoses: Iterable[Diagnosis]) -> Iterator[Finding]:
    """The findings of all; one that cannot look is a finding too, unless another one could not for the same reason."""
    reasons = set[str]()
    for diagnosis in diagnoses:
        try:
            yield from diagnosis()
        except (StreamError, RedisError, DatabaseError, ImproperlyConfigured, OSError, ValueError) as problem:
            subject = (diagnosis.__doc__ or diagnosis.__name__).partition(".")[0].partition(":")[0]
            if str(problem) not in reasons:
                yield error(subject, f"cannot be looked at: {problem}")
            reasons.add(str(problem))
