"""A saved or deleted layer or tileset is told to every server process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from streaming.core.errors import StreamError
from streaming.core.hub import CONTROL_GROUP
from streaming.core.redis import refusing
from streaming.features.layers import catalogue, layer_feed, settings_of
from streaming.models import Layer, Tileset

from .changes import EVERYTHING, announce_sync, tiles_feed
from .imagery import drop_imagery
from .pushing import drop_pushed_sync

logger = logging.getLogger(__name__)


@receiver(post_save, sender=Layer)
def layer_saved(instance: Layer, **kwargs: Any) -> None:
    """New settings hold at once here, and within a moment elsewhere."""
    catalogue.clear()
    transaction.on_commit(_announce)
    if instance.ttl_seconds is None:
        transaction.on_commit(partial(_without_redis, layer_feed(settings_of(instance)).forget_silence_sync, instance))


@receiver(post_delete, sender=Layer)
def layer_deleted(instance: Layer, **kwargs: Any) -> None:
    """The features go with their layer."""
    catalogue.clear()
    feed = layer_feed(settings_of(instance))

    transaction.on_commit(partial(_without_redis, feed.drop_sync, instance))
    transaction.on_commit(_announce)


@receiver(post_save, sender=Tileset)
def tileset_saved(instance: Tileset, created: bool, **kwargs: Any) -> None:
    """New settings hold here at once, and within a moment elsewhere. A new tileset has nothing of an older one of its name."""
    transaction.on_commit(_announce)
    change = _empty_tileset if created else _everything_changed
    transaction.on_commit(partial(_without_redis, partial(change, instance.name), instance))


@receiver(post_delete, sender=Tileset)
def tileset_deleted(instance: Tileset, **kwargs: Any) -> None:
    """Pushed tiles and painted images go with their tileset."""
    transaction.on_commit(partial(_without_redis, partial(_forget_tileset, instance.name), instance))
    transaction.on_commit(_announce)


def _empty_tileset(name: str) -> None:
    drop_imagery(name)
    drop_pushed_sync(name)


def _forget_tileset(name: str) -> None:
    _empty_tileset(name)
    tiles_feed(name).drop_sync()


def _everything_changed(name: str) -> None:
    announce_sync(name, EVERYTHING)


def _without_redis(change: Callable[[], None], row: Layer | Tileset) -> None:
    """Bring Redis in line with a row that is committed already; if it does not answer, that is logged."""
    try:
        change()
    except StreamError as error:
        logger.error("Redis does not know yet that %s %s was saved or deleted: %s", type(row).__name__.lower(), row.name, error)


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
        with refusing():
            await get_channel_layer().group_send(CONTROL_GROUP, {"type": "layers.changed"})
    except StreamError as error:
        logger.warning("other processes notice the changed layers a little later: %s", error)
