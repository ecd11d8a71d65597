"""What each process runs for feature layers: it follows changed layers, and one process deletes the features that have
expired.
"""

from __future__ import annotations

from streaming.core.feed import MAX_BATCH
from streaming.core.redis import async_redis, refusing
from streaming.engine.service import Service

from .layers import catalogue, layer_feed

EXPIRY_SECONDS = 1.0
LOCK_KEY = "geostream:expiry"
LOCK_MS = 900


class FeatureService(Service):
    """Watches the layers of this process, and deletes features that were not reported for longer than their layer's
    lifetime.
    """

    async def start(self) -> None:
        """Watch the layers, and look for expired features once a second."""
        self.runtime.watch(catalogue)
        self.runtime.hub.every(EXPIRY_SECONDS, expire_layers)


async def expire_layers() -> None:
    """Delete the expired features of all layers with a lifetime, with the reason `expired`, unless another process does
    it this second.
    """
    layers = [layer for layer in (await catalogue.all()).values() if layer.options.ttl_seconds]
    if not layers:
        return
    with refusing():
        locked = await async_redis().set(LOCK_KEY, "1", nx=True, px=LOCK_MS)
    if not locked:
        return
    for layer in layers:
        while await layer_feed(layer).expire() == MAX_BATCH:
            pass
