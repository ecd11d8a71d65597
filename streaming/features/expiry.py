"""Silent features leave: of the layers that have a lifetime, one process looks through each when the next of its features may be due."""

from __future__ import annotations

import time

from streaming.core.feed import MAX_BATCH
from streaming.core.redis import async_redis, refusing

from .layers import LayerSettings, catalogue, layer_feed

LOCK_KEY = "geostream:expiry"
LOCK_MS = 900
BELIEVED_SECONDS = 30.0
"""How old the layers' settings may be. Processes are told of changed ones; this is for notices that get lost."""
MOST_SECONDS = 10.0
"""Longest time between two looks at a layer: its features may have come from a process that did not know of the lifetime."""


class Expiry:
    """One process's part in it."""

    def __init__(self) -> None:
        self._due: dict[tuple[str, float], float] = {}  # when to look, by layer and lifetime

    async def expire_layers(self) -> None:
        """Once a second: delete what was silent for longer than its layer allows, with reason `expired`."""
        layers = {}
        for layer in (await catalogue.all(BELIEVED_SECONDS)).values():
            if layer.options.ttl_seconds:
                layers[layer.name, layer.options.ttl_seconds] = layer
        now = time.monotonic()
        self._due = {key: self._due.get(key, now) for key in layers}
        due = [key for key, at in self._due.items() if at <= now]
        if due and await _is_mine():
            for key in due:
                self._due[key] = now + await _expire(layers[key], key[1])


async def _is_mine() -> bool:
    with refusing():
        return bool(await async_redis().set(LOCK_KEY, "1", nx=True, px=LOCK_MS))


async def _expire(layer: LayerSettings, lifetime: float) -> float:
    """Returns in how many seconds to look again."""
    feed = layer_feed(layer)
    while await feed.expire() == MAX_BATCH:
        pass
    silence = await feed.longest_silence()
    return min(lifetime - silence, MOST_SECONDS)
