"""Options of `serve` that set environment variables.

Settings are read when Django starts, also in each worker. So a command with such options sets the variables and
executes itself again without the options. The result is the same as if the variables had been set before, and no secret
stays in the process list.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from .arguments import at_least_one

VARIABLES = {
    "redis_url": "REDIS_URL",
    "jwt_secret": "GEOSTREAM_JWT_SECRET",
    "jwt_expiration_secs": "GEOSTREAM_CHANNEL_TOKEN_SECONDS",
    "static_path": "GEOSTREAM_STATIC_PATH",
}


def existing_folder(text: str) -> Path:
    """The type of an argument that is a folder."""
    path = Path(text)
    if not path.is_dir():
        raise ArgumentTypeError(f"{text!r} is not a folder")
    return path.resolve()


def add_environment_arguments(parser: ArgumentParser) -> None:
    """`--redis-url`, `--jwt-secret`, `--jwt-expiration-secs` and `--static-path`."""
    parser.add_argument("--redis-url", metavar="URL", help="Redis (default: REDIS_URL)")
    parser.add_argument(
        "--jwt-secret",
        metavar="KEY",
        help="signs tokens, at least 32 bytes (default: GEOSTREAM_JWT_SECRET, which is better: an option is in the shell's history "
        "and, while the server starts, in the process list for everybody on this machine to see)",
    )
    parser.add_argument(
        "--jwt-expiration-secs",
        type=at_least_one,
        metavar="SECONDS",
        help="life of channel tokens (default: GEOSTREAM_CHANNEL_TOKEN_SECONDS)",
    )
    parser.add_argument(
        "--static-path", type=existing_folder, metavar="FOLDER", help="serve its files at / (default: GEOSTREAM_STATIC_PATH)"
    )


def restart_with_environment(argv: Sequence[str]) -> None:
    """Execute the command again if it has such options; does not return then.

    `argv` is the program, the command and its arguments.
    """
    parser = ArgumentParser(prog=" ".join(argv[:2]), add_help=False, allow_abbrev=False)
    add_environment_arguments(parser)
    options, rest = parser.parse_known_args(argv[2:])
    variables = _variables(vars(options))
    if variables:
        os.environ.update(variables)
        interpreter = sys.orig_argv[1 : -len(argv[1:])]
        os.execv(sys.executable, [sys.executable, *interpreter, argv[1], *rest])


def refuse_late_options(options: dict[str, Any]) -> None:
    """`CommandError` for options that `restart_with_environment` did not see: abbreviated, or in a call from Python."""
    for variable, value in _variables(options).items():
        if os.environ.get(variable) != value:
            raise CommandError(f"The settings have been read already: set {variable} in the environment, or write the option out.")


def _variables(options: dict[str, Any]) -> dict[str, str]:
    return {variable: str(options[name]) for name, variable in VARIABLES.items() if options.get(name) is not None}
