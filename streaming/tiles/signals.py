"""Signals of saved and deleted tilesets, which notify every process and clean up Redis and painted images."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_save
from django.dispatch import receiver

from streaming.engine.access import announce_access_changed, apply_to_redis
from streaming.features.row_changes import change_of, remember
from streaming.models import Tileset

from .change_feed import EVERYTHING, announce_sync, tiles_feed
from .imagery import drop_imagery
from .pushed_tiles import drop_pushed_sync
from .tileset_events import tileset_event
from .tilesets import TilesetSettings, tileset_settings, tilesets


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
    if kind := change_of(instance, _is_public):
        transaction.on_commit(partial(tileset_event, f"tileset_{kind}", _for_everybody(instance)))


@receiver(post_delete, sender=Tileset)
def tileset_deleted(instance: Tileset, **kwargs: Any) -> None:
    """Drop pushed tiles, painted images and the change feed."""
    transaction.on_commit(partial(apply_to_redis, partial(_drop_all, instance.name), instance))
    transaction.on_commit(partial(tileset_event, "tileset_removed", tileset_settings(instance)))
    transaction.on_commit(_committed)


def _is_public(tileset: Tileset) -> bool:
    return tileset_settings(tileset).public


def _for_everybody(tileset: Tileset) -> TilesetSettings:
    """Its settings for an event that everybody may see, even if it is private from now on."""
    return replace(tileset_settings(tileset), permissions=())


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
