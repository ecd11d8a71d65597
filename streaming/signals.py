"""A saved or deleted layer is told to every server process."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from .core.errors import StreamError
from .core.hub import CONTROL_GROUP
from .features.layers import catalogue, layer_feed, settings_of
from .models import Layer

logger = logging.getLogger(__name__)


@receiver(post_save, sender=Layer)
def layer_saved(instance: Layer, **kwargs: Any) -> None:
    """New settings hold at once here, and within a moment elsewhere."""
    catalogue.clear()
    transaction.on_commit(_announce)


@receiver(post_delete, sender=Layer)
def layer_deleted(instance: Layer, **kwargs: Any) -> None:
    """The features go with their layer."""
    catalogue.clear()
    feed = layer_feed(settings_of(instance))

    def drop() -> None:
        try:
            feed.drop_sync()
        except StreamError as error:
            logger.error("layer %s is deleted, but its features stay in Redis until one of that name is: %s", instance.name, error)
        _announce()

    transaction.on_commit(drop)


def _announce() -> None:
    catalogue.clear()
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
        await get_channel_layer().group_send(CONTROL_GROUP, {"type": "layers.changed"})
    except (OSError, StreamError) as error:
        logger.warning("other processes notice the changed layers a little later: %s", error)
