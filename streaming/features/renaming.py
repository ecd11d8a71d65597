"""Gives a layer another name, with its features and its log: a cursor of the old name resumes under the new one.

Subscribers of the old name see every feature go and, if they subscribe to events, `layer_removed` and `layer_created`; they subscribe to
the new name by themselves. Publishers to the old name are refused from then on, or make a new layer, if they may.
"""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from streaming.core.doorbell import ring
from streaming.core.errors import StreamError
from streaming.core.feed import Feed
from streaming.core.redis import refusing, sync_redis
from streaming.models import Layer

from .server_events import layer_event, readers
from .signals import layer_permissions

# KEYS: those of the old feed, then as many of the new one. In one step, so that nobody sees half of a layer.
_MOVE = """
local half = #KEYS / 2
for i = 1, half do
  redis.call('DEL', KEYS[half + i])
  if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('RENAME', KEYS[i], KEYS[half + i]) end
end
"""


def rename_layer(layer: Layer, name: str) -> None:
    """Rename a layer.

    `StreamError`: exists, bad_request, unknown_layer (somebody else has just renamed or deleted it), redis_unavailable (on Redis Cluster
    always: its keys are of one slot).
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
        sync_redis().eval(_MOVE, len(old.keys) * 2, *old.keys, *new.keys)
    ring(old.name, 0)
    ring(new.name, 0)
