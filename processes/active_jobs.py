"""How many jobs of processes, and of workers, have not ended: for the rows of one page, from the small index of such jobs.

In the query of a list they would be counted for every row of it, out of all jobs that there ever were.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, F
from django.http import HttpRequest

from .models import Job


class ActiveJobsChangeList(ChangeList):
    """A list of processes, or of workers, whose rows have `active_jobs`."""

    def get_results(self, request: HttpRequest) -> None:
        """The rows of the page."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        count_active_jobs(self.result_list)


def count_active_jobs(rows: Sequence[Any]) -> None:
    """Give processes, or workers, `active_jobs`: by status, how many have not ended."""
    found: dict[Any, Counter[str]] = defaultdict(Counter)
    if rows:
        # By a sum, for SQLite would rather go through the index of that column, and so through all jobs.
        of = F(f"{rows[0]._meta.model_name}_id") + 0
        for pk, status, count in Job.objects.active().annotate(of=of).values_list("of", "status").annotate(Count("pk")):
            found[pk][status] = count
    for row in rows:
        row.active_jobs = found[row.pk]
