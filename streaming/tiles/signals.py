"""Signals of saved and deleted tilesets, which notify every process and clean up Redis and painted images."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import receiver

from streaming.engine.access import announce_access_changed, apply_to_redis
from streaming.features.event_audience import split_audience
from streaming.features.row_changes import audiences_of_change, remember, row_before
from streaming.features.server_events import readers
from streaming.features.signals import layer_permissions
from streaming.models import Layer, Tileset

from .change_feed import EVERYTHING, announce_sync, tiles_feed
from .imagery import drop_imagery
from .pushed_tiles import drop_pushed_sync
from .tileset_events import tileset_event
from .tilesets import tileset_settings, tilesets


@receiver(pre_save, sender=Tileset)
def tileset_to_be_saved(instance: Tileset, **kwargs: Any) -> None:
    """Keep what it was, to find out what changes."""
    remember(instance)


@receiver(post_save, sender=Tileset)
def tileset_saved(instance: Tileset, created: bool, **kwargs: Any) -> None:
    """Apply new settings here at once, elsewhere within a moment.

    Drop what an older tileset of the same name has left.
    """
    transaction.on_commit(_committed)
    change = _drop_content if created else _everything_changed
    transaction.on_commit(partial(apply_to_redis, partial(change, instance.name), instance))
    settings = tileset_settings(instance)
    for kind, audience in audiences_of_change(instance, _permissions):
        transaction.on_commit(partial(tileset_event, f"tileset_{kind}", settings, audience))


@receiver(post_delete, sender=Tileset)
def tileset_deleted(instance: Tileset, **kwargs: Any) -> None:
    """Drop pushed tiles, painted images and the change feed."""
    transaction.on_commit(partial(apply_to_redis, partial(_drop_all, instance.name), instance))
    settings = tileset_settings(instance)
    transaction.on_commit(partial(tileset_event, "tileset_removed", settings, readers(settings.permissions)))
    transaction.on_commit(_committed)


@receiver(post_save, sender=Layer)
def layer_of_tilesets_saved(instance: Layer, **kwargs: Any) -> None:
    """Tilesets of a layer are read by those who may read the layer."""
    before = row_before(instance)
    if before is None or layer_permissions(before) == layer_permissions(instance):
        return
    for tileset in Tileset.objects.filter(kind="layer", source=instance.name):
        was, is_ = (tileset_settings(tileset, {instance.name: layer}) for layer in (before, instance))
        for kind, audience in split_audience(was.permissions, is_.permissions):
            if kind != "changed":
                transaction.on_commit(partial(tileset_event, f"tileset_{kind}", is_, audience))


def _permissions(tileset: Tileset) -> Collection[str]:
    return tileset_settings(tileset).permissions


def _drop_content(name: str) -> None:
    drop_imagery(name)
    drop_pushed_sync(name)


def _drop_all(name: str) -> None:
    _drop_content(name)
    tiles_feed(name).drop_sync()


def _everything_changed(name: str) -> None:
    announce_sync(name, EVERYTHING)


def _committed() -> None:
    tilesets.clear()  # they may have been read between the save and the commit
    announce_access_changed()
