"""`manage.py workers`: lists the workers that are connected, or has them leave a server that is about to be stopped."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db.models import Count, Q
from django.utils import timezone

from processes.jobs.changes import ACTIVE
from processes.models import Worker
from processes.workers.service import DRAIN
from streaming.engine.access import announce


class Command(BaseCommand):
    """What operators ask before and during a deployment."""

    help = "List the workers that are connected, or have them leave before servers are stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        parser.add_argument("--drain", action="store_true", help="workers are given no more jobs, leave, and connect again in a while")
        parser.add_argument("--reconnect-after", type=float, default=10.0, metavar="SECONDS", help="when they connect again (default: 10)")
        parser.add_argument("--node", default="", metavar="NODE", help="with --drain: of this server process only, as listed")

    def handle(self, *args: Any, **options: Any) -> None:
        """List, or drain."""
        if options["drain"]:
            announce(DRAIN, node=options["node"], seconds=options["reconnect_after"])
            return
        running = Count("jobs", filter=Q(jobs__status__in=ACTIVE), distinct=True)
        self.stdout.write("worker\tjobs\tconnected for\tnode\toffers")
        for worker in Worker.objects.exclude(node="").annotate(running=running).prefetch_related("registrations__process"):
            offers = ", ".join(sorted(str(each.process) for each in worker.registrations.all()))
            marks = "".join(f" {mark}" for mark in ("draining", "suspect") if getattr(worker, mark))
            since = (timezone.now() - worker.connected_at).total_seconds() if worker.connected_at else 0
            self.stdout.write(f"{worker.name}\t{worker.running}/{worker.concurrency} jobs\t{since:.0f} s\t{worker.node}\t{offers}{marks}")
