"""A cache of rows of configuration: valid for a few seconds, so that no message waits for the database.

A catalogue answers from memory where it can. A saved row clears it; `GEOSTREAM_AUTH_CACHE_SECONDS` bounds what a lost notice can cost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from channels.db import database_sync_to_async

from streaming.core.errors import StreamError
from streaming.engine.conf import conf


class Guarded(Protocol):
    """What a user may read or not."""

    @property
    def public(self) -> bool:
        """Whether anybody may."""
        ...

    def readable_by(self, user: Any) -> bool:
        """Whether the user may. May ask the database for permissions."""
        ...


S = TypeVar("S", bound=Guarded)


class Catalogue(Generic[S]):
    """All rows of one kind by name, read from the database at most every few seconds."""

    def __init__(self, kind: str, read: Callable[[], dict[str, S]]) -> None:
        self._kind, self._read = kind, read
        self._rows: dict[str, S] = {}
        self._read_at: float | None = None
        self._reading: asyncio.Future[bool] | None = None
        self._clears = 0

    def clear(self) -> None:
        """Ask the database next time."""
        self._read_at = self._reading = None
        self._clears += 1

    def all_sync(self) -> dict[str, S]:
        """Every row by name."""
        if not self._fresh:
            self._keep(self._read())
        return self._rows

    def remembered(self, name: str) -> S | None:
        """One row as it was when the database was last asked. For the event loop, where nothing depends on the last seconds."""
        return self._rows.get(name)

    def fresh(self, name: str) -> S | None:
        """One row as `get` would find it, None if that has to ask the database. For the event loop."""
        return self._rows.get(name) if self._fresh else None

    async def all(self, believed_seconds: float = 0.0) -> dict[str, S]:
        """The same on the event loop. Rows may be as old as usual or so many seconds, whichever is more.

        Of all who ask meanwhile, one asks the database: when thousands come at once, each of them would have a thread do so.
        """
        if not self._fresh and not self._younger(believed_seconds):
            await self._read_once()
        return self._rows

    def get_sync(self, name: str) -> S:
        """One row; `StreamError("unknown_layer")` or whatever the kind is."""
        row = self.all_sync().get(name)
        if row is None:
            self.clear()
            row = self.all_sync().get(name)
        return self._known(row, name)

    async def get(self, name: str) -> S:
        """The same on the event loop."""
        row = (await self.all()).get(name)
        if row is None:
            self.clear()
            row = (await self.all()).get(name)
        return self._known(row, name)

    async def get_readable(self, name: str, user: Any) -> S:
        """The same for a user: one that they may not read is as one that is not there, and is found out with as much work."""
        row = (await self.all()).get(name)
        if row is None:
            self.clear()
            row = (await self.all()).get(name)
            if row is None:
                await ask_in_vain(user)
                raise self._unknown(name)
        if not await readable(row, user):
            raise await self.hidden(name)
        return row

    def get_readable_sync(self, name: str, user: Any) -> S:
        """The same for threads."""
        try:
            row = self.get_sync(name)
        except StreamError:
            ask_in_vain_sync(user)
            raise
        if not row.readable_by(user):
            raise self.hidden_sync(name)
        return row

    async def hidden(self, name: str) -> StreamError:
        """The refusal of a row that somebody may not read: that of one that is not there, after as much work."""
        self.clear()
        await self.all()
        return self._unknown(name)

    def hidden_sync(self, name: str) -> StreamError:
        """The same for threads."""
        self.clear()
        self.all_sync()
        return self._unknown(name)

    @property
    def _fresh(self) -> bool:
        return self._younger(conf.AUTH_CACHE_SECONDS)

    def _younger(self, seconds: float) -> bool:
        return self._read_at is not None and time.monotonic() - self._read_at < seconds

    async def _read_once(self) -> None:
        loop = asyncio.get_running_loop()
        while (others := self._reading) is not None and others.get_loop() is loop and conf.AUTH_CACHE_SECONDS:
            await asyncio.wait((others,))
            if others.result():
                return
        while not await self._read_now(loop.create_future()):
            pass

    async def _read_now(self, reading: asyncio.Future[bool]) -> bool:
        """Ask the database; returns whether nothing was to be forgotten meanwhile."""
        self._reading, clears = reading, self._clears
        try:
            rows = await database_sync_to_async(self._read)()
            if valid := self._clears == clears:
                self._keep(rows)
            reading.set_result(valid)
            return valid
        finally:
            if not reading.done():
                reading.set_result(False)
            if self._reading is reading:
                self._reading = None

    def _keep(self, rows: dict[str, S]) -> None:
        self._rows = rows
        self._read_at = time.monotonic()

    def _known(self, row: S | None, name: str) -> S:
        if row is None:
            raise self._unknown(name)
        return row

    def _unknown(self, name: str) -> StreamError:
        return StreamError(f"unknown_{self._kind}", f"there is no {self._kind} {name[:100]!r} that you may read")


async def readable(row: Guarded, user: Any) -> bool:
    """Whether a user may read it, without touching the database for what is public, or for nobody."""
    return row.public or bool(user.is_authenticated and await database_sync_to_async(row.readable_by)(user))


async def ask_in_vain(user: Any) -> None:
    """As much work as `readable` for a row that the user may not read: how long that takes must not tell what is there."""
    if user.is_authenticated:
        await database_sync_to_async(ask_in_vain_sync)(user)


def ask_in_vain_sync(user: Any) -> None:
    """The same for threads."""
    if user.is_authenticated:
        user.has_perm("streaming.view_layer")
