"""`manage.py sync`: keep a folder of this machine the same as the one on a server."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    """The same as `python -m streaming.client.sync`."""

    help = "Keep a folder the same as the one on a server. Exit codes: 0 done, 1 errors, 2 usage, 3 safety stop, 4 conflicts."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """See `docs/commands.md`."""
        from streaming.client.sync.command import add_arguments

        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Sync."""
        from streaming.client.sync.command import run

        if code := run(options):
            sys.exit(code)
