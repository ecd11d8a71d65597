"""Reads layers as hashes of Redis are read: one feature by its id, or all of them page by page."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

from streaming.core.errors import StreamError
from streaming.core.hub import Hub
from streaming.core.items import Item
from streaming.engine.catalogue import ask_in_vain, readable
from streaming.features.geojson import candidate_keys
from streaming.features.layers import catalogue, layer_feed
from streaming.models.layers import NAME

from .geojson.crs import WGS84
from .geojson.spatial_filter import Area

PAGE, PAGE_BYTES = 500, 256 * 1024
"""Features looked at, and bytes found, before others have a turn: a millisecond or less."""

_LAYER = re.compile(NAME.regex).match  # those of most hashes, with colons, are none


class LayerReader:
    """Reads the layers of GeoStream for clients."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def has(self, name: str) -> bool:
        """Whether there is a layer of this name."""
        return name in await catalogue.all()

    async def readable_by(self, name: str, user: Any) -> bool:
        """Whether there is one that the user may read."""
        layer = (await catalogue.all()).get(name)
        if layer is not None:
            return await readable(layer, user)
        if _LAYER(name):
            await ask_in_vain(user)
        return False

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

    async def features(self, name: str, area: Area | None = None) -> AsyncIterator[list[bytes]]:
        """All that are stored by now and that may be in the area, page by page."""
        replica = await self._hub.replica(layer_feed(await catalogue.get(name)))
        await self._hub.refresh(replica)
        items = list(replica.items.values())
        page, size = list[bytes](), 0
        for number, item in enumerate(items, 1):
            if area is None or _may_intersect(item, area):
                page.append(item.value)
                size += len(item.value)
            if number % PAGE == 0 or size > PAGE_BYTES:
                if page:
                    yield page
                page, size = [], 0
                await asyncio.sleep(0)
        if page:
            yield page


def _may_intersect(item: Item, area: Area) -> bool:
    """Whether a feature may be in the box: in degrees its bounds, which are known already, leave out most that are not."""
    return area.crs is not WGS84 or item.box is None or area.may_intersect(item.box)
