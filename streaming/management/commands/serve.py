"""`manage.py serve`: serves HTTP and WebSockets with uvicorn, in production too."""

from __future__ import annotations

from socket import socket
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connections

from streaming.engine.conf import conf, largest_message
from streaming.engine.database import why_not_migrated
from streaming.management.arguments import at_least_one
from streaming.management.environment_options import add_environment_arguments, refuse_late_options, restart_with_environment
from streaming.management.listening_socket import listening_socket
from streaming.management.prerequisites import check_application, check_migrations, prepare_redis, raise_file_limit
from streaming.management.server_options import add_server_arguments, server_options
from streaming.server.embedded_redis import without_password
from streaming.topics.tokens import announce_open_tokens

if TYPE_CHECKING:
    import uvicorn

STOP_SECONDS = 10.0
"""Time that services have to stop, when nobody is connected any more."""


class Command(BaseCommand):
    help = "Serve HTTP and WebSockets with uvicorn."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 takes a free one (default: 8000)")
        parser.add_argument(
            "--workers",
            type=at_least_one,
            default=1,
            help="server processes; one per core is a good number. SIGHUP replaces them one by one (default: 1)",
        )
        add_server_arguments(parser)
        add_environment_arguments(parser)

    def run_from_argv(self, argv: list[str]) -> None:
        """Called from the command line."""
        restart_with_environment(argv)
        super().run_from_argv(argv)

    def handle(self, *args: Any, **options: Any) -> None:
        from streaming.server.uvicorn_server import run, server_config  # late, because of the packages that it imports

        refuse_late_options(options)
        check_application()
        check_migrations()
        url = prepare_redis()
        raise_file_limit()
        if settings.DEBUG and options["host"] not in {"127.0.0.1", "localhost", "::1"}:
            self.stderr.write(self.style.WARNING("GEOSTREAM_DEBUG is on and others can connect: set it to False."))
        if options["workers"] > 1:
            announce_open_tokens()
        with listening_socket(options["host"], options["port"], "serve --port 8001", options["backlog"]) as listener:
            config = server_config(
                host=options["host"], port=options["port"], max_message_bytes=largest_message(), **server_options(options)
            )
            scheme = "https" if options["ssl_certfile"] else "http"
            site = f"{scheme}://{options['host']}:{listener.getsockname()[1]}/"
            self.stdout.write(f"GeoStream on {site} ({options['workers']} worker(s), Redis {without_password(url)})")
            self.stdout.flush()
            if options["workers"] == 1:
                run(config, listener)
            elif code := supervise(config, listener, options["workers"]):
                raise SystemExit(code)


def supervise(config: uvicorn.Config, listener: socket, count: int) -> int:
    """Run so many workers until the command is told to end; returns its exit code."""
    from streaming.server.supervisor import Patience, Supervisor
    from streaming.server.uvicorn_server import GRACE_SECONDS
    from streaming.server.worker import Worker

    connections.close_all()
    patience = Patience(silence=conf.WORKER_SILENT_SECONDS, end=conf.DRAIN_SECONDS + GRACE_SECONDS + STOP_SECONDS)
    return Supervisor(lambda: Worker(config, listener, why_not_migrated), count, patience).run()
