"""A saved or deleted layer is told to every server process, and Redis is brought in line with it."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from streaming.engine.access import announce_access_changed, apply_to_redis
from streaming.models import Layer

from .layers import catalogue, layer_feed, settings_of


@receiver(post_save, sender=Layer)
def layer_saved(instance: Layer, **kwargs: Any) -> None:
    """New settings hold at once here, and within a moment elsewhere."""
    catalogue.clear()
    transaction.on_commit(_committed)
    if instance.ttl_seconds is None:
        transaction.on_commit(partial(apply_to_redis, layer_feed(settings_of(instance)).forget_silence_sync, instance))


@receiver(post_delete, sender=Layer)
def layer_deleted(instance: Layer, **kwargs: Any) -> None:
    """The features go with their layer."""
    catalogue.clear()
    feed = layer_feed(settings_of(instance))
    transaction.on_commit(partial(apply_to_redis, feed.drop_sync, instance))
    transaction.on_commit(_committed)


def _committed() -> None:
    catalogue.clear()  # it may have been read between the saving and the commit
    announce_access_changed()
