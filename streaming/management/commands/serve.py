"""`manage.py serve`: serves HTTP and WebSockets with uvicorn, in production too."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from streaming.engine.conf import largest_message
from streaming.management.environment_options import add_environment_arguments, refuse_late_options, restart_with_environment
from streaming.management.listening_socket import listening_socket
from streaming.management.prerequisites import check_application, check_migrations, prepare_redis
from streaming.server.embedded_redis import without_password
from streaming.topics.tokens import announce_open_tokens


class Command(BaseCommand):
    help = "Serve HTTP and WebSockets with uvicorn."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 takes a free one (default: 8000)")
        parser.add_argument("--workers", type=int, default=1, help="server processes (default: 1; one per core is a good number)")
        parser.add_argument("--forwarded-allow-ips", default="127.0.0.1", help="proxies whose X-Forwarded-* headers are believed")
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
        if settings.DEBUG and options["host"] not in {"127.0.0.1", "localhost", "::1"}:
            self.stderr.write(self.style.WARNING("GEOSTREAM_DEBUG is on and others can connect: set it to False."))
        if options["workers"] > 1:
            announce_open_tokens()
        with listening_socket(options["host"], options["port"], "serve --port 8001") as listener:
            config = server_config(
                host=options["host"],
                port=options["port"],
                workers=options["workers"],
                max_message_bytes=largest_message(),
                forwarded_allow_ips=options["forwarded_allow_ips"],
            )
            site = f"http://{options['host']}:{listener.getsockname()[1]}/"
            self.stdout.write(f"GeoStream on {site} ({options['workers']} worker(s), Redis {without_password(url)})")
            self.stdout.flush()
            run(config, listener)
