"""Notifies every server process that layers, tilesets or permissions have changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db.models import Model

from streaming.core.errors import StreamError
from streaming.core.hub import CONTROL_GROUP
from streaming.core.redis import refusing

from .runtime import ACCESS_CHANGED

logger = logging.getLogger(__name__)


def announce_access_changed() -> None:
    """Notify all processes, from a thread or from the event loop. A process that misses the notice finds out a few seconds later."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        async_to_sync(_send)()
    else:
        task = asyncio.ensure_future(_send())
        _sending.add(task)
        task.add_done_callback(_sending.discard)


_sending: set[asyncio.Future[None]] = set()


async def _send() -> None:
    try:
        with refusing():
            await get_channel_layer().group_send(CONTROL_GROUP, {"type": ACCESS_CHANGED})
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
