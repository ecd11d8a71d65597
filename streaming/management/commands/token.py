"""`manage.py token`: prints a token, for programs that publish, read private layers or join topics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rest_framework_simplejwt.tokens import AccessToken

from streaming.core.errors import StreamError
from streaming.engine.auth import LIMITS
from streaming.files.rights import PART, RIGHTS, token_rights
from streaming.management.arguments import positive
from streaming.management.prerequisites import check_migrations
from streaming.topics.tokens import mint


class Command(BaseCommand):
    help = "Print an access token of a user, or a channel token."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", metavar="USER", help="the username")
        parser.add_argument(
            "--lifetime", type=positive, metavar="SECONDS", help="how long it is valid (default: as tokens that are asked for over HTTP)"
        )
        parser.add_argument(
            "--files",
            metavar="DIRECTORY=RIGHTS",
            action="append",
            help="print an access token that opens nothing but this directory of files (*: all of them): of list, read, write and delete, "
            "what the user may as well; once for each directory",
        )
        parser.add_argument("--topic", metavar="TOPIC", help="print a channel token for this topic or pattern, in the user's name")

    def handle(self, *args: Any, **options: Any) -> None:
        check_migrations()
        user = _active_user(options["user"])
        try:
            token = self._channel_token(user, options) if options["topic"] else self._access_token(user, options)
        except OverflowError:
            raise CommandError("--lifetime is too long.") from None
        except StreamError as error:
            raise CommandError(error.message) from error
        self.stdout.write(token)

    def _access_token(self, user: Any, options: dict[str, Any]) -> str:
        token = AccessToken.for_user(user)
        if options["files"]:
            token[LIMITS] = {PART: _limits(options["files"])}
        if options["lifetime"] is not None:
            token.set_exp(lifetime=timedelta(seconds=options["lifetime"]))
        return str(token)

    def _channel_token(self, user: Any, options: dict[str, Any]) -> str:
        return mint(user.get_username(), options["topic"], options["lifetime"])


def _limits(pairs: Sequence[str]) -> dict[str, str]:
    """The claim of a limited token. `CommandError` for what is no directory with rights."""
    limits = {directory: rights for directory, _, rights in (pair.partition("=") for pair in pairs)}
    try:
        token_rights(limits)
    except StreamError:
        raise CommandError(f"--files is a directory with rights, such as 'maps=list read write'; rights are {', '.join(RIGHTS)}.") from None
    return limits


def _active_user(name: str) -> Any:
    """`CommandError` if there is none."""
    users = get_user_model()
    user = users._default_manager.filter(**{users.USERNAME_FIELD: name}).first()
    if user is None:
        raise CommandError(f"There is no user {name!r}. Make one with manage.py createsuperuser, or in the admin.")
    if not user.is_active:
        raise CommandError(f"The user {name!r} is not active: no token of theirs would be accepted.")
    return user
