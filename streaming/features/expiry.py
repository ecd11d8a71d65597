"""Expiry of features: deletes those that were not reported for longer than the lifetime of their layer.

One process of all does it at a time. It examines a layer when the next of its features may have expired.
"""

from __future__ import annotations

import time

from streaming.core.feed import MAX_BATCH
from streaming.core.keys import COMMON
from streaming.core.redis import async_redis, refusing

from .layers import LayerSettings, catalogue, layer_feed

LOCK_KEY = COMMON + "expiry"
LOCK_MS = 900
SETTINGS_MAX_AGE = 30.0
"""Seconds that the layers' settings are used before they are read again, in case a notice of a change was lost."""
MAX_INTERVAL = 10.0
"""Most seconds between two examinations of a layer, in case its features came from a process that did not know the
lifetime.
"""


class Expiry:
    """The times at which this process examines each layer."""

    def __init__(self) -> None:
        self._due: dict[tuple[str, float], float] = {}  # by layer and lifetime

    async def expire_layers(self) -> None:
        """Delete expired features, with the reason `expired`. Called once a second."""
        layers = {}
        for layer in (await catalogue.all(SETTINGS_MAX_AGE)).values():
            if layer.options.ttl_seconds:
                layers[layer.name, layer.options.ttl_seconds] = layer
        now = time.monotonic()
        self._due = {key: self._due.get(key, now) for key in layers}
        due = [key for key, at in self._due.items() if at <= now]
        if due and await _lock():
            for key in due:
                self._due[key] = now + await _expire(layers[key], key[1])


async def _lock() -> bool:
    with refusing():
        return bool(await async_redis().set(LOCK_KEY, "1", nx=True, px=LOCK_MS))


async def _expire(layer: LayerSettings, lifetime: float) -> float:
    """Delete the expired features of one layer; returns in how many seconds to examine it again."""
    feed = layer_feed(layer)
    while await feed.expire() == MAX_BATCH:
        pass
    silence = await feed.longest_silence()
    return min(lifetime - silence, MAX_INTERVAL)
