"""A saved or deleted tileset is told to every server process, and Redis is brought in line with it."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver

from streaming.engine.access import announce_access_changed, apply_to_redis
from streaming.models import Tileset

from .change_feed import EVERYTHING, announce_sync, tiles_feed
from .imagery import drop_imagery
from .pushed_tiles import drop_pushed_sync
from .tilesets import tilesets


@receiver(post_save, sender=Tileset)
def tileset_saved(instance: Tileset, created: bool, **kwargs: Any) -> None:
    """New settings hold here at once, and within a moment elsewhere. A new tileset has nothing of an older one of its name."""
    transaction.on_commit(_committed)
    change = _empty_tileset if created else _everything_changed
    transaction.on_commit(partial(apply_to_redis, partial(change, instance.name), instance))


@receiver(post_delete, sender=Tileset)
def tileset_deleted(instance: Tileset, **kwargs: Any) -> None:
    """Pushed tiles and painted images go with their tileset."""
    transaction.on_commit(partial(apply_to_redis, partial(_forget_tileset, instance.name), instance))
    transaction.on_commit(_committed)


def _empty_tileset(name: str) -> None:
    drop_imagery(name)
    drop_pushed_sync(name)


def _forget_tileset(name: str) -> None:
    _empty_tileset(name)
    tiles_feed(name).drop_sync()


def _everything_changed(name: str) -> None:
    announce_sync(name, EVERYTHING)


def _committed() -> None:
    tilesets.clear()  # they may have been read between the saving and the commit
    announce_access_changed()
