"""`manage.py watch`: watches the files of tilesets and announces changes to all servers, also those on other machines."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from streaming.core.errors import StreamError
from streaming.core.redis import close_async_redis
from streaming.management.arguments import positive
from streaming.management.prerequisites import check_migrations, prepare_redis
from streaming.tiles.change_feed import ChangedArea, announce
from streaming.tiles.file_watcher import SourceWatcher
from streaming.tiles.grid import box_text
from streaming.tiles.tilesets import TilesetSettings, tilesets

REREAD_SECONDS = 2.0
RETRY_SECONDS = 2.0
SHOWN_TILES = 5


class Command(BaseCommand):
    help = "Watch the files of tilesets and notify all servers of changes, until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("tilesets", nargs="*", metavar="TILESET", help="only these (default: all, also those added meanwhile)")
        parser.add_argument(
            "--poll", type=positive, metavar="SECONDS", help="look at the files so often, for network folders that report no changes"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        check_migrations()
        if unknown := sorted(set(options["tilesets"]) - set(tilesets.all_sync())):
            raise CommandError(f"There is no tileset {', '.join(unknown)}. Add one with manage.py add_tiles.")
        prepare_redis()
        try:
            asyncio.run(self._watch(options["tilesets"], options["poll"]))
        except* BrokenPipeError:  # `watch | head`: the rest of the buffer must not fail at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    async def _watch(self, names: Collection[str], poll_seconds: float | None) -> None:
        current = asyncio.current_task()
        assert current is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, current.cancel)
        watcher, watched = SourceWatcher(poll_seconds), dict[str, TilesetSettings]()
        with suppress(asyncio.CancelledError):
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._reread(names, watched, watcher))
                    tasks.create_task(watcher.run(lambda: watched, self._announce))
            finally:
                await close_async_redis()

    async def _reread(self, names: Collection[str], watched: dict[str, TilesetSettings], watcher: SourceWatcher) -> None:
        """Keep `watched` up to date with the table of tilesets."""
        printed: Collection[str] | None = None
        while True:
            tilesets.clear()
            try:
                found = _with_files(await tilesets.all(), names)
            except DatabaseError as error:
                self.stderr.write(f"The tilesets cannot be read: {error}", self.style.WARNING)
            else:
                if found != watched:
                    watched.clear()
                    watched.update(found)
                    watcher.refresh()
                    await watcher.watching.wait()
                if printed != found.keys():
                    printed = set(found)
                    self._print(f"watching {', '.join(sorted(found)) or 'nothing yet: no tileset has files'}")
            await asyncio.sleep(REREAD_SECONDS)

    async def _announce(self, name: str, touched: ChangedArea) -> None:
        """Announce a change on the tileset's feed, again and again until that succeeds."""
        while True:
            try:
                await announce(name, touched)
            except StreamError as error:
                self.stderr.write(f"{name} has changed, but servers cannot be notified: {error.message} Trying again.", self.style.WARNING)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return self._print(f"{name}: {describe_change(touched)}")

    def _print(self, text: str) -> None:
        self.stdout.write(f"{datetime.now():%H:%M:%S} {text}")
        self.stdout.flush()


def describe_change(touched: ChangedArea) -> str:
    """The text of a line about a change."""
    if touched.tiles is not None:
        shown = ", ".join(f"{tile.z}/{tile.x}/{tile.y}" for tile in sorted(touched.tiles)[:SHOWN_TILES])
        more = ", …" if len(touched.tiles) > SHOWN_TILES else ""
        return f"{len(touched.tiles)} tile{'s' if len(touched.tiles) > 1 else ''} changed ({shown}{more})"
    where = "everything" if touched.box is None else box_text(touched.box)
    zooms = "" if touched.zooms is None else f" in the zooms {touched.zooms.start} to {touched.zooms.stop - 1}"
    return f"{where}{zooms} may have changed"


def _with_files(rows: Mapping[str, TilesetSettings], names: Collection[str]) -> dict[str, TilesetSettings]:
    return {name: row for name, row in rows.items() if row.source_kind.has_files and (not names or name in names)}
