"""Creates layers: those that are published to and do not exist come to be with their first accepted feature.

So a publisher that is refused leaves no empty layer on everybody's map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from channels.db import database_sync_to_async
from django.core.exceptions import ValidationError

from streaming.core.errors import StreamError
from streaming.core.feed import Feed, Put, PutResult
from streaming.core.redis import refusing, sync_redis
from streaming.models import Layer

from .layers import LayerSettings, catalogue, layer_feed


class NewLayer:
    """A layer that does not exist yet: the first features that are put create it. Until then it is as an empty feed."""

    def __init__(self, name: str, create: Callable[[], LayerSettings] | None = None) -> None:
        self.name = name
        self._create = create or (lambda: ensure_layer(name))
        self._feed: Feed | None = None

    def put_sync(self, items: Iterable[Put]) -> PutResult:
        """`Feed.put_sync`."""
        if self._feed is None:
            self._feed = self._created()
        return self._feed.put_sync(items)

    async def put(self, items: Iterable[Put]) -> PutResult:
        """`Feed.put`."""
        if self._feed is None:
            self._feed = await database_sync_to_async(self._created)()
        return await self._feed.put(items)

    def get_sync(self, key: str) -> bytes | None:
        """`Feed.get_sync`."""
        return None if self._feed is None else self._feed.get_sync(key)

    def delete_sync(self, keys: Iterable[str]) -> PutResult:
        """`Feed.delete_sync`."""
        return PutResult() if self._feed is None else self._feed.delete_sync(keys)

    def _created(self) -> Feed:
        with refusing():
            sync_redis().ping()  # or a layer would be left without the features that it is for
        return layer_feed(self._create())


def feature_store(name: str) -> Feed | NewLayer:
    """Where to put a layer's features. `StreamError("bad_request")` if no layer can have this name."""
    try:
        return layer_feed(catalogue.get_sync(name))
    except StreamError:
        check_layer_name(name)
        return NewLayer(name)


async def afeature_store(name: str) -> Feed | NewLayer:
    """`feature_store` for coroutines; a layer that exists needs no thread."""
    try:
        return layer_feed(await catalogue.get(name))
    except StreamError:
        check_layer_name(name)
        return NewLayer(name)


def ensure_layer(name: str) -> LayerSettings:
    """A layer's settings; the layer is created if it does not exist."""
    try:
        return catalogue.get_sync(name)
    except StreamError:
        check_layer_name(name)
        Layer.objects.get_or_create(name=name)
        return catalogue.get_sync(name)


async def aensure_layer(name: str) -> LayerSettings:
    """`ensure_layer` for coroutines; a layer that exists needs no thread."""
    try:
        return await catalogue.get(name)
    except StreamError:
        settings: LayerSettings = await database_sync_to_async(ensure_layer)(name)
        return settings


def check_layer_name(name: str) -> None:
    """`StreamError("bad_request")` if no layer can have this name."""
    try:
        Layer(name=name).full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        raise StreamError("bad_request", f"{name[:100]!r} cannot be a layer's name: {' '.join(error.messages)}") from error
