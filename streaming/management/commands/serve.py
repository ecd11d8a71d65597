"""`manage.py serve`: GeoStream under uvicorn, the way it is meant to run in production."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from streaming.core.redis import redis_url
from streaming.engine.conf import conf
from streaming.management.environment_options import add_environment_arguments, refuse_ineffective, restart_with_environment
from streaming.server.application import load_application
from streaming.server.embedded_redis import RedisUnavailable, demand_answer
from streaming.topics.tokens import announce_open_tokens


def check_migrations() -> None:
    """Refuse to serve on a database that is behind the code."""
    try:
        executor = MigrationExecutor(connection)
        behind = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise CommandError(f"The database cannot be used: {error}") from error
    if behind:
        raise CommandError(f"{len(behind)} migrations have not been applied. Run: python manage.py migrate")


def check_application() -> None:
    """Refuse to serve an application without the WebSocket routes."""
    try:
        load_application()
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from error


def prepare_redis() -> str:
    """Find or start Redis, once for all workers, and have it answer."""
    try:
        url = redis_url()
        demand_answer(url)
    except RedisUnavailable as error:
        raise CommandError(str(error)) from error
    os.environ["REDIS_URL"] = url
    return url


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
        from streaming.server import uvicorn_server as server

        refuse_ineffective(options)
        check_application()
        check_migrations()
        url = prepare_redis()
        if settings.DEBUG and options["host"] not in {"127.0.0.1", "localhost", "::1"}:
            self.stderr.write(self.style.WARNING("GEOSTREAM_DEBUG is on and others can connect: set it to False."))
        if options["workers"] > 1:
            announce_open_tokens()
        config = server.config(
            host=options["host"],
            port=options["port"],
            workers=options["workers"],
            max_message_bytes=conf.MAX_MESSAGE_BYTES,
            forwarded_allow_ips=options["forwarded_allow_ips"],
        )
        self.stdout.write(f"GeoStream on http://{options['host']}:{options['port']}/ ({options['workers']} worker(s), Redis {_shown(url)})")
        server.run(config)


def _shown(url: str) -> str:
    """A Redis URL without its password."""
    head, at, tail = url.rpartition("@")
    return f"{head.split('://')[0]}://…@{tail}" if at else url
