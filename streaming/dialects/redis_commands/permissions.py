"""The permissions of a connection's user, of those that readable names need.

The database is asked once per connection, when a name is first asked for, and again when the user may have changed. Its answer is believed
until it gives another one: no message that is published waits for it.
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


class UserPermissions:
    """Which of the `needed` permissions a user has; `on_known` is called with them, first and after each review."""

    def __init__(self, needed: frozenset[str], user: Callable[[], Any], on_known: Callable[[frozenset[str]], None]) -> None:
        self._needed = needed
        self._user = user
        self._on_known = on_known
        self._known = not needed
        self._reviews = 0
        self._review: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Ask the database, if they are not known."""
        while not self._known:
            self._known = await self._ask()

    def review(self) -> None:
        """The user may have changed: ask again soon, if they were known at all."""
        self._reviews += 1
        if self._needed and self._known and self._user().is_authenticated and (self._review is None or self._review.done()):
            self._review = asyncio.create_task(self._ask_until_answered())

    def stop(self) -> None:
        """Ask no more."""
        if self._review is not None:
            self._review.cancel()

    async def _ask_until_answered(self) -> None:
        while True:
            try:
                if await self._ask():
                    return
            except (DatabaseError, InterfaceError) as error:
                logger.warning("which names of Redis may be read could not be found out and will be: %s", error)
                await asyncio.sleep(REVIEW_AGAIN_SECONDS)

    async def _ask(self) -> bool:
        """False if the user may have changed meanwhile."""
        review, user = self._reviews, self._user()
        permissions = await database_sync_to_async(_permissions)(self._needed, user) if user.is_authenticated else frozenset()
        if review != self._reviews:
            return False
        self._on_known(permissions)
        return True


def _permissions(needed: frozenset[str], user: Any) -> frozenset[str]:
    return frozenset(permission for permission in needed if _has(user, permission))


def _has(user: Any, permission: str) -> bool:
    if permission == STAFF:
        return bool(user.is_staff)
    return permission == AUTHENTICATED or bool(user.has_perm(permission))
