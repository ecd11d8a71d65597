"""`manage.py worker_token`: makes, lists and revokes the tokens that workers connect with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count, Q
from django.utils import timezone

from processes.models import WorkerToken
from processes.workers.tokens import create_token, revoke_token
from streaming.management.arguments import at_least_one


class Command(BaseCommand):
    """One token for each machine, or group of machines, that offers processes."""

    help = "Make, list and revoke the tokens that workers connect with."

    def add_arguments(self, parser: CommandParser) -> None:
        """create, list, revoke."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="create|list|revoke")
        create = actions.add_parser("create", help="make a token and print it, once")
        create.add_argument("name", metavar="NAME", help="what it is for, such as the machine that has it")
        create.add_argument(
            "--process",
            action="append",
            metavar="ID",
            help="a process that its workers may offer, with * at the end for any ending; may be repeated (default: all)",
        )
        create.add_argument("--max-workers", type=at_least_one, default=100, metavar="N", help="workers connected at once (default: 100)")
        create.add_argument(
            "--max-concurrency", type=at_least_one, default=1000, metavar="N", help="jobs that they run at once, together (default: 1000)"
        )
        create.add_argument("--days", type=at_least_one, metavar="N", help="how long it is valid (default: until it is revoked)")
        actions.add_parser("list", help="list the tokens, and how many workers are connected with each")
        revoke = actions.add_parser("revoke", help="revoke tokens; their workers are disconnected")
        revoke.add_argument("name", metavar="NAME", help="all tokens of this name")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        getattr(self, f"_{options['action']}")(**options)

    def _create(self, name: str, **options: Any) -> None:
        if WorkerToken.objects.filter(name=name, revoked=None).exists():
            raise CommandError(f"There is a token {name!r} already. Revoke it, or take another name.")
        expires = timezone.now() + timedelta(days=options["days"]) if options["days"] else None
        limits = {"max_workers": options["max_workers"], "max_concurrency": options["max_concurrency"]}
        _, text = create_token(name, options["process"] or ["*"], expires=expires, **limits)
        self.stdout.write(text)

    def _list(self, **options: Any) -> None:
        connected = Count("workers", filter=~Q(workers__node=""))
        self.stdout.write("name\ttoken\tprocesses\tstate\tconnected")
        for token in WorkerToken.objects.annotate(connected=connected):
            self.stdout.write(f"{token.name}\t{token.hint}…\t{', '.join(token.processes)}\t{_state(token)}\t{token.connected} workers")

    def _revoke(self, name: str, **options: Any) -> None:
        tokens = WorkerToken.objects.filter(name=name, revoked=None)
        if not tokens:
            raise CommandError(f"There is no token {name!r} that could be revoked.")
        for token in tokens:
            revoke_token(token)
        self.stdout.write(f"revoked: {len(tokens)}")


def _state(token: WorkerToken) -> str:
    if token.revoked is not None:
        return f"revoked {token.revoked:%Y-%m-%d}"
    if token.expires is None:
        return "valid"
    return f"{'expired' if token.expires <= timezone.now() else 'valid until'} {token.expires:%Y-%m-%d}"
