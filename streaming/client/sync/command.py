"""The command: its options, and what it exits with."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .addresses import api_url, socket_url
from .client import SyncClient
from .errors import CONFLICTS, DONE, ERRORS, SafetyStop, SyncError, UsageError, first_error
from .folder import LocalFolder
from .plan import Mode, Strategy
from .remote import Remote
from .report import JsonReporter, TextReporter
from .rounds import Rules
from .state import State, default_folder

DESCRIPTION = "Keep a folder of this machine the same as the one on a server."
EXIT_CODES = "Exit codes: 0 done, 1 something failed, 2 wrong options, 3 stopped by a safety rule, 4 conflicts are left."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options, for `python -m streaming.client.sync` and `manage.py sync` alike."""
    add = parser.add_argument
    add("--server", required=True, metavar="URL", help="address of the server, such as https://maps.example.org")
    add("--local-path", required=True, metavar="DIR", type=Path, help="the folder of this machine; made if it is not there")
    add("--realtime", action="store_true", help="go on, and sync every change as it happens on either side, until Ctrl-C")
    add("--initial-sync", action="store_true", help="with --realtime: sync everything first, and say when that is done")
    add("--once", action="store_true", help="sync once and end (the default without --realtime and --interval)")
    add("--interval", type=float, metavar="S", help="sync again every so many seconds")
    add("--mode", choices=[each.value for each in Mode], default=Mode.TWO_WAY.value, help="which side may change which (default: two-way)")
    add(
        "--conflicts",
        choices=[each.value for each in Strategy],
        default=Strategy.KEEP_BOTH.value,
        help="which version of a file that was changed on both sides keeps the name (default: keep-both: the server's; yours is renamed)",
    )
    add("--include", action="append", default=[], metavar="PATTERN", help="only what matches, as in .gitignore; may be repeated")
    add("--exclude", action="append", default=[], metavar="PATTERN", help="not what matches, as in .gitignore; may be repeated")
    add("--dry-run", action="store_true", help="show what would be done, and change nothing")
    add("--max-delete", type=int, metavar="N", help="delete at most so many files at once (default: half of them, or 10)")
    add("--force-delete", action="store_true", help="delete however much it is, and go on with a folder that was replaced")
    add("--jobs", type=int, default=4, metavar="N", help="transfers at once (default: 4)")
    add("--token", metavar="T", help="an access token (default: GEOSTREAM_TOKEN of the environment)")
    add("--client-id", metavar="ID", help="who this client is in announcements (default: a random one, kept with the state)")
    add("--state-dir", type=Path, metavar="DIR", help="where it is remembered what was synced (default: in the user's data folder)")
    add("--json", action="store_true", help="a JSON object a line instead of text")
    add("--quiet", action="store_true", help="failures only")


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m streaming.client.sync`."""
    parser = argparse.ArgumentParser(prog="python -m streaming.client.sync", description=DESCRIPTION, epilog=EXIT_CODES)
    add_arguments(parser)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    return run(vars(parser.parse_args(arguments)))


def run(options: dict[str, Any]) -> int:
    """Sync; returns the exit code."""
    try:
        return asyncio.run(_run(options))
    except KeyboardInterrupt:
        return DONE
    except BaseExceptionGroup as group:
        error = first_error(group)
        if isinstance(error, SyncError):
            return _report(error)
        raise
    except SyncError as error:
        return _report(error)


async def _run(options: dict[str, Any]) -> int:
    if options["jobs"] < 1:
        raise UsageError("--jobs must be at least 1")
    if options["realtime"] and options["dry_run"]:
        raise UsageError("--dry-run and --realtime do not go together")
    server, local = options["server"], options["local_path"]
    token = options["token"] or os.environ.get("GEOSTREAM_TOKEN", "")
    reporter = JsonReporter() if options["json"] else TextReporter(quiet=options["quiet"])
    rules = Rules(
        mode=Mode(options["mode"]),
        strategy=Strategy(options["conflicts"]),
        most_deleted=options["max_delete"],
        force_delete=options["force_delete"],
        dry_run=options["dry_run"],
        transfers=options["jobs"],
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)  # not a line for each request
    urls = api_url(server), socket_url(server)
    state = State(options["state_dir"] or default_folder(server, local))
    try:
        client_id = options["client_id"] or state.client_id()
        folder = LocalFolder(local, state, include=options["include"], exclude=options["exclude"])
        if options["force_delete"]:
            folder.forget_root()
        folder.open()
        remote = Remote(urls[0], client_id, state, token, reporter.transferred)
        try:
            client = SyncClient(folder, remote, state, rules, client_id, reporter, announcements_url=urls[1], token=token)
            return await _sync(client, options, reporter)
        finally:
            await remote.close()
            folder.close()
    finally:
        state.close()


async def _sync(client: SyncClient, options: dict[str, Any], reporter: TextReporter | JsonReporter) -> int:
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    assert this is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, this.cancel)
    began = time.monotonic()
    try:
        if options["realtime"]:
            if options["initial_sync"]:
                first = await client.once()
                reporter.summary(dict(first.done), first.conflicts, time.monotonic() - began)
            await client.live()
        elif options["interval"]:
            await client.every(options["interval"])
        outcome = await client.once()
    except asyncio.CancelledError:
        return DONE
    reporter.summary(dict(outcome.done), outcome.conflicts, time.monotonic() - began)
    if outcome.failed:
        return ERRORS
    return CONFLICTS if outcome.conflicts else DONE


def _report(error: SyncError) -> int:
    print(f"{'stopped' if isinstance(error, SafetyStop) else 'error'}: {error}", file=sys.stderr)
    return error.exit_code
