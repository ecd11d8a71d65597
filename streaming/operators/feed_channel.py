"""The topic `admin:feeds`: how the feeds of a page grow, every two seconds while somebody looks."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from channels.db import database_sync_to_async
from django.db import DatabaseError

from streaming.core.errors import StreamError
from streaming.topics.channel import Channel, Refused
from streaming.topics.rooms import SlowPolicy

from .commands import may_operate
from .feeds import feed_rows

MOST = 100
LOOK_SECONDS = 2.0


class FeedsChannel(Channel):
    """One page."""

    slow: ClassVar[SlowPolicy] = "drop"
    notices_gaps = False
    _task: asyncio.Task[None] | None = None

    async def join(self, params: dict[str, Any]) -> dict[str, Any] | None:
        """`feeds`: names, at most a hundred. For those who may operate topics."""
        names = params.get("feeds")
        if not isinstance(names, list) or len(names) > MOST or not all(map(_is_name, names)):
            raise StreamError("bad_request", f"`feeds` is a list of at most {MOST} names")
        if not await may_operate(self.user):
            raise Refused
        self._names = names
        return {}

    async def joined(self) -> None:
        """Look from now on."""
        self._task = asyncio.create_task(self._look())

    async def leave(self) -> None:
        """The page is gone."""
        if self._task is not None:
            self._task.cancel()

    def refresh(self) -> None:
        """Who may not look any more leaves."""
        self.topics.spawn(self._review())

    async def _review(self) -> None:
        if not await may_operate(self.user):
            await self.connection.session.end(self.member, "phx_error", {"reason": "unauthorized"})  # type: ignore[attr-defined]

    async def _look(self) -> None:
        while self.member.room is not None:
            try:
                rows = await database_sync_to_async(feed_rows)(self._names)
                self.push("feeds", {"feeds": [row.as_dict() for row in rows]})
            except (StreamError, DatabaseError) as error:
                self.push("problem", {"message": str(error)[:300]})
            await asyncio.sleep(LOOK_SECONDS)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and len(name) <= 300 and "\0" not in name
