"""Which of the things that readable names need the user of a connection has: permissions, mostly.

The database is asked once per connection, when a name is first asked for, and again when the user may have changed. What it said is
believed until it says something else: no message that is published waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from channels.db import database_sync_to_async
from django.db import DatabaseError, InterfaceError

from streaming.redis_data.names import AUTHENTICATED, STAFF

logger = logging.getLogger(__name__)

REVIEW_AGAIN_SECONDS = 1.0


class Grants:
    """What one connection is granted of what is needed; `tell` is told first, and whenever it has been looked at again."""

    def __init__(self, needs: frozenset[str], user: Callable[[], Any], tell: Callable[[frozenset[str]], None]) -> None:
        self._needs = needs
        self._user = user
        self._tell = tell
        self._known = not needs
        self._reviews = 0
        self._review: asyncio.Task[None] | None = None

    async def found(self) -> None:
        """It has been told."""
        while not self._known:
            self._known = await self._look()

    def review(self) -> None:
        """The user may have changed: it will soon be told again, if ever it was."""
        self._reviews += 1
        if self._needs and self._known and self._user().is_authenticated and (self._review is None or self._review.done()):
            self._review = asyncio.create_task(self._look_again())

    def stop(self) -> None:
        """Tell nothing any more."""
        if self._review is not None:
            self._review.cancel()

    async def _look_again(self) -> None:
        while True:
            try:
                if await self._look():
                    return
            except (DatabaseError, InterfaceError) as error:
                logger.warning("which names of Redis may be read could not be found out and will be: %s", error)
                await asyncio.sleep(REVIEW_AGAIN_SECONDS)

    async def _look(self) -> bool:
        """Ask and tell; False if the user may have changed meanwhile."""
        asked = self._reviews
        granted = await _granted(self._needs, self._user())
        if asked != self._reviews:
            return False
        self._tell(granted)
        return True


async def _granted(needs: frozenset[str], user: Any) -> frozenset[str]:
    return await database_sync_to_async(_having)(needs, user) if user.is_authenticated else frozenset()


def _having(needs: frozenset[str], user: Any) -> frozenset[str]:
    return frozenset(need for need in needs if _has(user, need))


def _has(user: Any, need: str) -> bool:
    if need == STAFF:
        return bool(user.is_staff)
    return need == AUTHENTICATED or bool(user.has_perm(need))
