"""Notifies every server process that layers, tilesets, users or their permissions have changed, and of sessions that have ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db.models import Model

from streaming.core.errors import StreamError
from streaming.core.hub import CONTROL_GROUP
from streaming.core.redis import refusing

from .logins import digest
from .runtime import ACCESS_CHANGED

logger = logging.getLogger(__name__)

USERS_CHANGED, SESSION_ENDED = "users.changed", "session.ended"
"""Control messages between processes."""


def announce_access_changed() -> None:
    """Notify all processes, from a thread or from the event loop. A process that misses the notice finds out a few seconds later."""
    announce(ACCESS_CHANGED)


def announce_users_changed() -> None:
    """The same of users, their groups and permissions."""
    announce(USERS_CHANGED)


def announce_session_ended(session_key: str) -> None:
    """The same of a session that its user has ended. Its key is not sent."""
    announce(SESSION_ENDED, session=digest(session_key))


def announce(kind: str, **fields: Any) -> None:
    """Send a control message to all processes, from a thread or from the event loop, if Redis answers."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        async_to_sync(_send)(kind, fields)
    else:
        task = asyncio.ensure_future(_send(kind, fields))
        _sending.add(task)
        task.add_done_callback(_sending.discard)


_sending: set[asyncio.Future[None]] = set()


async def _send(kind: str, fields: dict[str, Any]) -> None:
    try:
        with refusing():
            await get_channel_layer().group_send(CONTROL_GROUP, {"type": kind, **fields})
    except StreamError as error:
        logger.warning("other processes notice what has changed a little later: %s", error)


def apply_to_redis(change: Callable[[], None], row: Model) -> None:
    """Bring Redis in line with a row that is committed already; if it does not answer, that is logged."""
    try:
        change()
    except StreamError as error:
        logger.error(
            "Redis does not know yet that %s %s was saved or deleted: %s", type(row).__name__.lower(), getattr(row, "name", row.pk), error
        )
