"""GeoStream's layers for clients of Redis: read as a hash is, heard as a channel is, with the same filters and the same queues.

A change is judged on both versions of a feature, so nobody goes on showing what has left the box. Reading asks for what is stored now;
listening begins with the next change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError

from streaming.core.errors import StreamError
from streaming.core.items import Item
from streaming.engine.catalogue import readable
from streaming.engine.conf import conf
from streaming.features.geojson import candidate_keys
from streaming.features.layers import LayerSettings, catalogue, layer_feed

from ..geojson.client_filters import Area, Filters, Value
from ..geojson.crs import WGS84
from .channels import Channels
from .layer_changes import FollowedLayer
from .subscribers import Listener

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

logger = logging.getLogger(__name__)

PAGE = 500
"""Features looked at before others have a turn: a few milliseconds."""
REVIEW_AGAIN_SECONDS = 1.0


class Layers:
    """Which listeners of this process follow which layers."""

    def __init__(self, runtime: Runtime, channels: Channels) -> None:
        self.capped = 0
        """How often a layer had more features than are read."""
        self._runtime = runtime
        self._channels = channels
        self._followed: dict[str, FollowedLayer] = {}
        self._reviews = set[asyncio.Task[None]]()

    # -- reading -----------------------------------------------------------

    async def has(self, name: str) -> bool:
        """Whether there is a layer of this name."""
        return name in await catalogue.all()

    async def readable_by(self, name: str, user: Any) -> bool:
        """Whether there is one that the user may read."""
        layer = (await catalogue.all()).get(name)
        return layer is not None and await readable(layer, user)

    async def feature(self, name: str, text: str) -> bytes | None:
        """The feature of this id, which may be a text or an integer. `StreamError`."""
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

    async def features(self, name: str, filters: Filters | None = None) -> AsyncIterator[list[bytes]]:
        """All that is stored by now, some at a time; no more than `GEOSTREAM_REDIS_VALUES`, not counting what is outside the box."""
        hub = self._runtime.hub
        replica = await hub.replica(layer_feed(await catalogue.get(name)))
        await hub.refresh(replica)
        area, room = None if filters is None else filters.area, int(conf.REDIS_VALUES)
        for items in _pages(list(replica.items.values())):
            found = [item.value for item in items if area is None or _may_touch(item, area)]
            if found[:room]:
                yield found[:room]
            room -= len(found)
            if room < 0:
                self.capped += 1
                return
            await asyncio.sleep(0)

    # -- listening ---------------------------------------------------------

    async def subscribe(self, listener: Listener, name: str, reference: str | None = None) -> None:
        """From now on it is told what changes. `StreamError`: unknown_layer, too_many_subscriptions, redis_unavailable."""
        layer = await catalogue.get(name)
        known = name in listener.layers
        self._channels.admit(listener, known)
        listener.layers[name] = reference  # already: whoever may not read it any more, or is gone, is removed from there meanwhile
        try:
            followed = await self._follow(layer)
        except BaseException:
            if not known:
                listener.layers.pop(name, None)
            raise
        if name in listener.layers:
            followed.audience.add(listener, reference)
        self._leave_if_unheard(name)

    def unsubscribe(self, listener: Listener, name: str) -> None:
        """It is not told any more; nothing if it was not."""
        listener.layers.pop(name, None)
        followed = self._followed.get(name)
        if followed is not None and listener in followed.audience.references:
            followed.audience.remove(listener)
            self._leave_if_unheard(name)

    def clear(self, listener: Listener) -> None:
        """It follows no layer; what waits for it is told."""
        for name in list(listener.layers):
            self.unsubscribe(listener, name)

    def review(self, listener: Listener, user: Any) -> None:
        """Layers or the user have changed: it soon hears nothing any more of those that may not be read."""
        if listener.layers:
            task = asyncio.create_task(self._review(listener, user))
            self._reviews.add(task)
            task.add_done_callback(self._reviews.discard)

    def stop(self) -> None:
        """Follow nothing."""
        for task in self._reviews:
            task.cancel()
        for followed in self._followed.values():
            followed.stop()
        self._followed.clear()

    async def _follow(self, layer: LayerSettings) -> FollowedLayer:
        replica = await self._runtime.hub.replica(layer_feed(layer))
        followed = self._followed.get(layer.name)
        if followed is None:
            followed = self._followed[layer.name] = FollowedLayer(layer.name, replica)
        return followed

    def _leave_if_unheard(self, name: str) -> None:
        followed = self._followed[name]
        if not len(followed.audience):
            followed.stop()
            del self._followed[name]

    async def _review(self, listener: Listener, user: Any) -> None:
        while True:
            try:
                layers = await catalogue.all()
                for layer in [layers[name] for name in listener.layers if name in layers]:
                    if not await readable(layer, user):
                        self.unsubscribe(listener, layer.name)
                return
            except (DatabaseError, StreamError) as error:
                logger.warning("whether layers may be read could not be found out and will be: %s", error)
            await asyncio.sleep(REVIEW_AGAIN_SECONDS)


def _pages(items: Sequence[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while page := list(islice(iterator, PAGE)):
        yield page


def _may_touch(item: Item, area: Area) -> bool:
    """Whether a feature may be in the box; in degrees its bounds say so without being looked at closely."""
    if area.crs is WGS84:
        return item.box is None or area.may_touch(item.box)
    return Value(item.value).passes(area)
