"""Subscriptions of this process's clients to layers: the same filters and queues as for channels of Redis.

A change is judged on both versions of a feature, so that no client goes on showing what has left its box. A subscription begins with the
next change; what is stored already has to be read.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from django.db import DatabaseError

from streaming.core.errors import StreamError
from streaming.core.hub import Hub
from streaming.core.tasks import TaskSet
from streaming.engine.catalogue import readable
from streaming.features.layers import LayerSettings, catalogue, layer_feed

from .channels import ChannelSubscriptions
from .layer_changes import LayerObserver
from .subscribers import Subscriber

logger = logging.getLogger(__name__)

REVIEW_AGAIN_SECONDS = 1.0


class LayerSubscriptions:
    """Every subscriber of a layer in this process."""

    def __init__(self, hub: Hub, channels: ChannelSubscriptions) -> None:
        self._hub = hub
        self._channels = channels
        self._observers: dict[str, LayerObserver] = {}
        self._reviews = TaskSet()

    async def subscribe(self, subscriber: Subscriber, name: str, reference: str | None = None) -> None:
        """Send it what changes from now on. `StreamError`: unknown_layer, too_many_subscriptions, redis_unavailable."""
        layer = await catalogue.get(name)
        known = name in subscriber.layers
        self._channels.admit(subscriber, known)
        subscriber.layers[name] = reference  # already: a client that is gone, or may not read it any more, is removed from there meanwhile
        try:
            observer = await self._observe(layer)
        except BaseException:
            if not known:
                subscriber.layers.pop(name, None)
            raise
        if name in subscriber.layers:
            observer.subscribers.add(subscriber, reference)
        self._drop_if_unused(name)

    def unsubscribe(self, subscriber: Subscriber, name: str) -> None:
        """Undo `subscribe`; nothing if there is no such subscription."""
        subscriber.layers.pop(name, None)
        observer = self._observers.get(name)
        if observer is not None and subscriber in observer.subscribers.references:
            observer.subscribers.remove(subscriber)
            self._drop_if_unused(name)

    def clear(self, subscriber: Subscriber) -> None:
        """End all its subscriptions to layers; what waits is still sent."""
        for name in list(subscriber.layers):
            self.unsubscribe(subscriber, name)

    def review(self, subscriber: Subscriber, user: Any) -> None:
        """Layers or the user have changed: soon end its subscriptions to layers that the user may not read."""
        if subscriber.layers:
            self._reviews.spawn(self._review(subscriber, user))

    def stop(self) -> None:
        """Deliver nothing any more."""
        self._reviews.cancel()
        for observer in self._observers.values():
            observer.stop()
        self._observers.clear()

    async def _observe(self, layer: LayerSettings) -> LayerObserver:
        replica = await self._hub.replica(layer_feed(layer))
        observer = self._observers.get(layer.name)
        if observer is None:
            observer = self._observers[layer.name] = LayerObserver(layer.name, replica, self._channels.dispatcher)
        return observer

    def _drop_if_unused(self, name: str) -> None:
        observer = self._observers[name]
        if not len(observer.subscribers):
            observer.stop()
            del self._observers[name]

    async def _review(self, subscriber: Subscriber, user: Any) -> None:
        while True:
            try:
                layers = await catalogue.all()
                for layer in [layers[name] for name in subscriber.layers if name in layers]:
                    if not await readable(layer, user):
                        self.unsubscribe(subscriber, layer.name)
                return
            except (DatabaseError, StreamError) as error:
                logger.warning("whether layers may be read could not be found out and will be: %s", error)
            await asyncio.sleep(REVIEW_AGAIN_SECONDS)
