"""Gives a layer another name, with its features and its log: a cursor of the old name resumes under the new one.

Subscribers of the old name see every feature go and, if they subscribe to events, `layer_removed` and `layer_created`; they subscribe to
the new name by themselves. Publishers to the old name are refused from then on, or make a new layer, if they may.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from streaming.core.errors import StreamError
from streaming.core.feed import Feed
from streaming.core.redis import cluster_address, refusing, sync_feed_redis, sync_redis
from streaming.models import Layer

from . import dictionaries
from .server_events import layer_event, readers
from .signals import layer_permissions

TRIES = 20
"""How often a layer is copied to another node of a cluster until nothing was published meanwhile."""

# KEYS: those of the old feed, then as many of the new one. In one step, so that nobody sees half of a layer.
_MOVE = """
local half = #KEYS / 2
for i = 1, half do
  redis.call('DEL', KEYS[half + i])
  if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('RENAME', KEYS[i], KEYS[half + i]) end
end
"""

# The same on a cluster, where the two may be on different nodes. KEYS: those of the old feed. Returns epoch and seq, and the values.
_DUMP = """
local found = {redis.call('HMGET', KEYS[3], 'epoch', 'seq')}
for i, key in ipairs(KEYS) do found[i + 1] = redis.call('DUMP', key) end
return found
"""

# KEYS: those of the new feed. ARGV: their values ('': none).
_RESTORE = """
for i, key in ipairs(KEYS) do
  redis.call('DEL', key)
  if ARGV[i] ~= '' then redis.call('RESTORE', key, 0, ARGV[i]) end
end
"""

# KEYS: those of the old feed. ARGV: epoch and seq. Returns whether they were still these, and the feed is gone.
_DROP = """
local place = redis.call('HMGET', KEYS[3], 'epoch', 'seq')
if (place[1] or '') ~= ARGV[1] or (place[2] or '') ~= ARGV[2] then return 0 end
redis.call('DEL', unpack(KEYS))
return 1
"""


def rename_layer(layer: Layer, name: str) -> None:
    """Rename a layer.

    `StreamError`: exists, bad_request, unknown_layer (somebody else has just renamed or deleted it), redis_unavailable; on a cluster of
    Redis also busy, if too much is published meanwhile.
    """
    before = layer.name
    if Layer.objects.filter(name=name).exists():
        raise _taken(name)
    layer.name = name
    try:
        layer.full_clean()
        with transaction.atomic():
            _check_name(layer, before)
            layer.save(update_fields=["name"])
            _move(before, name)
    except ValidationError as error:
        layer.name = before
        raise StreamError("bad_request", f"{name[:100]!r} cannot be a layer's name: {' '.join(error.messages)}") from error
    except IntegrityError as error:  # another layer was given the name a moment ago
        layer.name = before
        raise _taken(name) from error
    except Exception:
        layer.name = before
        raise
    audience = readers(layer_permissions(layer))
    layer_event("layer_removed", before, layer.title, audience)
    layer_event("layer_created", name, layer.title, audience)


def _taken(name: str) -> StreamError:
    return StreamError("exists", f"there is a layer {name[:100]!r} already")


def _check_name(layer: Layer, name: str) -> None:
    """Two at once would leave the features under a name that no layer has: the second one finds out, for it waits for the first."""
    if not Layer.objects.select_for_update().filter(pk=layer.pk, name=name).exists():
        raise StreamError("unknown_layer", f"there is no layer {name!r} any more: somebody else has just renamed or deleted it")


def _move(before: str, name: str) -> None:
    old, new = Feed(f"layer:{before}"), Feed(f"layer:{name}")
    with refusing():
        if cluster_address() is None:
            sync_redis().eval(_MOVE, len(old.keys) * 2, *old.keys, *new.keys)
        else:
            _move_between_nodes(old, new)
    for each in (before, name):
        dictionaries.forget_sync(each)
    old.ring_sync()
    new.ring_sync()


def _move_between_nodes(old: Feed, new: Feed) -> None:
    """Copy, and then remove what was copied, if it still is what is there."""
    redis: Any = sync_feed_redis()
    for _ in range(TRIES):
        place, *dumps = redis.eval(_DUMP, len(old.keys), *old.keys)
        redis.eval(_RESTORE, len(new.keys), *new.keys, *(dump or b"" for dump in dumps))
        if redis.eval(_DROP, len(old.keys), *old.keys, *(part or b"" for part in place)):
            return
    redis.delete(*new.keys)
    raise StreamError("busy", "too much is published to the layer for it to be moved: stop that for a moment")
