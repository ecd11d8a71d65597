"""Signal receivers: a saved or deleted layer is announced to every server process, and Redis is changed to match."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import receiver

from streaming.engine.access import announce_access_changed, apply_to_redis
from streaming.models import Layer

from . import dictionaries
from .layers import LayerSettings, catalogue, layer_feed
from .row_changes import audiences_of_change, remember
from .server_events import layer_event, readers


@receiver(pre_save, sender=Layer)
def layer_to_be_saved(instance: Layer, **kwargs: Any) -> None:
    """Keep what it was, to find out what changes."""
    remember(instance)


@receiver(post_save, sender=Layer)
def layer_saved(instance: Layer, **kwargs: Any) -> None:
    """Apply new settings: at once in this process, a moment later in the others."""
    catalogue.clear()
    transaction.on_commit(_committed)
    for change, audience in audiences_of_change(instance, layer_permissions):
        transaction.on_commit(partial(layer_event, f"layer_{change}", instance.name, instance.title, audience))
    if instance.ttl_seconds is None:
        transaction.on_commit(partial(apply_to_redis, layer_feed(LayerSettings.from_row(instance)).forget_silence_sync, instance))


@receiver(post_delete, sender=Layer)
def layer_deleted(instance: Layer, **kwargs: Any) -> None:
    """Delete the features of the layer."""
    catalogue.clear()
    feed = layer_feed(LayerSettings.from_row(instance))
    transaction.on_commit(partial(apply_to_redis, feed.drop_sync, instance))
    transaction.on_commit(partial(apply_to_redis, partial(dictionaries.forget_sync, instance.name), instance))
    transaction.on_commit(partial(layer_event, "layer_removed", instance.name, instance.title, readers(layer_permissions(instance))))
    transaction.on_commit(_committed)


def layer_permissions(layer: Layer) -> tuple[str, ...]:
    """The permissions needed to read the layer of a row."""
    return LayerSettings.from_row(layer).permissions


def _committed() -> None:
    catalogue.clear()  # it may have been read between the saving and the commit
    announce_access_changed()
