"""Silent features leave: once a second one process looks through the layers that have a lifetime."""

from __future__ import annotations

from streaming.core.feed import MAX_BATCH
from streaming.core.redis import async_redis, refusing

from .layers import catalogue, layer_feed

LOCK_KEY = "geostream:expiry"
LOCK_MS = 900


async def expire_layers() -> None:
    """Delete what was silent for longer than its layer allows, with reason `expired`."""
    layers = [layer for layer in (await catalogue.all()).values() if layer.options.ttl_seconds]
    if not layers:
        return
    with refusing():
        mine = await async_redis().set(LOCK_KEY, "1", nx=True, px=LOCK_MS)
    if not mine:
        return
    for layer in layers:
        while await layer_feed(layer).expire() == MAX_BATCH:
            pass
