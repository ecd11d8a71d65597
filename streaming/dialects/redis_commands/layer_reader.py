"""Reads layers as hashes of Redis are read: one feature by its id, or all of them page by page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from streaming.core.errors import StreamError
from streaming.core.hub import Hub
from streaming.core.items import Item
from streaming.engine.catalogue import readable
from streaming.engine.conf import conf
from streaming.features.geojson import candidate_keys
from streaming.features.layers import catalogue, layer_feed

from .geojson.client_filters import ClientFilters
from .geojson.crs import WGS84
from .geojson.spatial_filter import Area
from .geojson.values import Value

PAGE = 500
"""Features looked at before others have a turn: a few milliseconds."""


class LayerReader:
    """Reads the layers of GeoStream for clients."""

    def __init__(self, hub: Hub) -> None:
        self.truncated = 0
        """How often a layer had more features than are read."""
        self._hub = hub

    async def has(self, name: str) -> bool:
        """Whether there is a layer of this name."""
        return name in await catalogue.all()

    async def readable_by(self, name: str, user: Any) -> bool:
        """Whether there is one that the user may read."""
        layer = (await catalogue.all()).get(name)
        return layer is not None and await readable(layer, user)

    async def feature(self, name: str, text: str) -> bytes | None:
        """The feature with this id, which may be a text or an integer. `StreamError`."""
        feed = layer_feed(await catalogue.get(name))
        try:
            keys = candidate_keys(text)
        except StreamError:
            return None
        for key in keys:
            value = await feed.get(key)
            if value is not None:
                return value
        return None

    async def features(self, name: str, filters: ClientFilters | None = None) -> AsyncIterator[list[bytes]]:
        """All that is stored by now, page by page; no more than `GEOSTREAM_REDIS_VALUES`, not counting what is outside the box."""
        replica = await self._hub.replica(layer_feed(await catalogue.get(name)))
        await self._hub.refresh(replica)
        area, room = None if filters is None else filters.area, int(conf.REDIS_VALUES)
        items = list(replica.items.values())
        for start in range(0, len(items), PAGE):
            found = [item.value for item in items[start : start + PAGE] if area is None or _may_intersect(item, area)]
            if found[:room]:
                yield found[:room]
            room -= len(found)
            if room < 0:
                self.truncated += 1
                return
            await asyncio.sleep(0)


def _may_intersect(item: Item, area: Area) -> bool:
    """Whether a feature may be in the box; in degrees this is decided by its bounds, which are known already."""
    if area.crs is WGS84:
        return item.box is None or area.may_intersect(item.box)
    return Value(item.value).passes(area)
