"""A process as a connected worker offers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from processes.descriptions import DescriptionError, ProcessDescription
from processes.jobs.outcomes import OutputPart
from processes.models import Process
from streaming.engine.conf import conf


@dataclass(frozen=True, slots=True)
class OfferedProcess:
    """What is needed of a process while its jobs are done."""

    pk: int
    identifier: str
    version: str
    description: ProcessDescription | None
    run_seconds: float | None
    warns: bool
    """Whether a result that its schema refuses is stored with a warning."""
    concurrency: int = 1

    def output_errors(self, parts: Sequence[OutputPart]) -> list[dict[str, Any]]:
        """What is wrong with a result. A single output must be there; of several, some may be left out."""
        if self.description is None:
            return []
        expected = list(self.description.outputs) if len(self.description.outputs) == 1 else []
        return self.description.output_errors(parts, expected)


def offered_processes(pks: Sequence[int], concurrency: int = 1) -> dict[int, OfferedProcess]:
    """As the database has them: a query, to be run by `Jobs.read`."""
    return {row.pk: _offered(row, concurrency) for row in Process.objects.filter(pk__in=pks)}


def _offered(row: Process, concurrency: int) -> OfferedProcess:
    try:
        description = ProcessDescription.parse(row.description)
    except DescriptionError:
        description = None
    run_seconds = None if row.continuous else row.run_seconds or conf.PROCESS_RUN_SECONDS
    return OfferedProcess(row.pk, row.identifier, row.version, description, run_seconds, row.result_check == "warn", concurrency)
