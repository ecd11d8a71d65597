"""Whether there is room for more bytes: the quota of the folder, and what has to stay free on its disk."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from streaming.core.errors import StreamError
from streaming.engine.conf import conf

from .folder_index import FolderIndex
from .store import Store

KNOWN_SECONDS = 1.0
"""How long it is believed how much room the disk has, and how much is being uploaded."""


class Room:
    """What is left of it, as this process knows it."""

    def __init__(self, store: Store, index: FolderIndex, run: Callable[..., Awaitable[Any]]) -> None:
        self._store = store
        self._index = index
        self._run = run
        self._free: int | None = None
        self._arriving = 0
        self._free_until = self._arriving_until = 0.0

    async def check(self, path: str, size: int, arriving: bool = False) -> None:
        """`StreamError("folder_full")` if there is no room for so many bytes at a path. `arriving`: beside what is being uploaded now.

        What they replace stays on the disk, in the trash.
        """
        self.check_quota(path, size + (await self._arriving_bytes() if arriving and conf.FILES_QUOTA_BYTES else 0))
        free = await self._free_bytes()
        if free is not None and free - size < conf.FILES_FREE_BYTES:
            raise StreamError("folder_full", "the disk of the folder is nearly full")

    def check_quota(self, path: str, size: int) -> None:
        """The same by the quota alone: for what is on the disk already."""
        there = self._index.record(path)
        growth = size - (0 if there is None else there.size)
        if conf.FILES_QUOTA_BYTES and self._index.bytes + growth > conf.FILES_QUOTA_BYTES:
            raise StreamError("folder_full", f"the folder may hold {conf.FILES_QUOTA_BYTES} bytes")

    def forget(self) -> None:
        """Believe nothing any more of what was known."""
        self._free_until = self._arriving_until = 0.0

    async def _free_bytes(self) -> int | None:
        now = time.monotonic()
        if now >= self._free_until:
            self._free, self._free_until = await self._run(lambda: self._store.free_bytes), now + KNOWN_SECONDS
        return self._free

    async def _arriving_bytes(self) -> int:
        now = time.monotonic()
        if now >= self._arriving_until:
            self._arriving, self._arriving_until = await self._run(self._store.staging.bytes), now + KNOWN_SECONDS
        return self._arriving
