"""`manage.py process_worker`: a worker with the processes that come with GeoStream, beside servers of this project."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from processes.worker import Worker, WorkerRefused
from streaming.management.arguments import at_least_one
from streaming.management.prerequisites import check_migrations, prepare_redis

LIBRARIES = "pip install 'django-geostream[tiles,processes]'"
LAST_SECONDS = 3.0
"""After the end of the program that started it, a worker that does not end by itself is ended."""


class Command(BaseCommand):
    """A worker of this project."""

    help = "Offer the processes that come with GeoStream (buffer, contour, hotspots and others) to a server of this project, until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        """See `docs/commands.md`."""
        parser.add_argument(
            "--url",
            default="ws://127.0.0.1:8000/ws/processes",
            help="where the server takes workers (default: ws://127.0.0.1:8000/ws/processes)",
        )
        parser.add_argument("--token", help="a worker token (default: GEOSTREAM_WORKER_TOKEN, or one that the command issues itself)")
        parser.add_argument("--name", help="name of the worker, the same at each start (default: that of the machine, and -builtin)")
        parser.add_argument("--concurrency", type=at_least_one, default=8, metavar="N", help="jobs that it does at once (default: 8)")
        parser.add_argument(
            "--drain-seconds",
            type=float,
            default=30.0,
            metavar="S",
            help="how long jobs may take to end after Ctrl-C or SIGTERM (default: 30)",
        )
        parser.add_argument("--with-parent", action="store_true", help="end when standard input does, with the program that started it")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it."""
        if options["with_parent"]:
            threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
        check_migrations()
        prepare_redis()
        try:
            from processes.builtin.offers import offer  # late, because of the libraries that it imports
        except ImportError as error:
            raise CommandError(f"The processes need libraries that are not installed ({error}): {LIBRARIES}") from error
        from processes.builtin.own_token import own_token

        if options["verbosity"] == 0:
            logging.getLogger("processes.worker").setLevel(logging.WARNING)
        name = options["name"] or f"{socket.gethostname()}-builtin"
        worker = offer(Worker(name, url=options["url"], token=options["token"] or "", concurrency=options["concurrency"]))
        try:
            worker.token = worker.token or own_token(list(worker.processes))
        except WorkerRefused as error:
            raise CommandError(f"The server does not take this worker: {error}") from error
        worker.run(options["drain_seconds"])


def _end_with_parent() -> None:
    """Standard input is a pipe that nobody writes to: it ends with the program at its other end, however that ends."""
    while os.read(sys.stdin.fileno(), 1024):  # not by `sys.stdin`, whose lock this thread would hold when the interpreter ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(LAST_SECONDS)
    os._exit(1)
