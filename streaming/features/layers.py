"""Layers as the engine sees them: settings believed for a few seconds, so that no message waits for the database.
`catalogue` answers from memory where it can. A saved layer clears it in every process at once; `GEOSTREAM_AUTH_CACHE_SECONDS`
bounds what a lost notice can cost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from channels.db import database_sync_to_async

from streaming.conf import conf
from streaming.core.errors import StreamError
from streaming.core.feed import Feed, FeedOptions
from streaming.core.redis import refusing, sync_redis
from streaming.models import Layer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LayerSettings:
    """One layer's settings, detached from the database."""

    name: str
    title: str
    public: bool
    permission: str
    time_property: str | None
    options: FeedOptions

    def readable_by(self, user: Any) -> bool:
        """Whether the user may read it. May ask the database for permissions."""
        return self.public or bool(user.is_authenticated and user.has_perm(self.permission))


def settings_of(layer: Layer) -> LayerSettings:
    """A row's settings."""
    return LayerSettings(
        name=layer.name,
        title=layer.title or layer.name,
        public=layer.public,
        permission=layer.permission or "streaming.view_layer",
        time_property=layer.time_property or None,
        options=FeedOptions(layer.log_length, layer.max_features, layer.ttl_seconds),
    )


def layer_feed(layer: LayerSettings) -> Feed:
    """The feed that holds a layer's features."""
    return Feed(f"layer:{layer.name}", layer.options)


def feature_counts(names: Sequence[str]) -> dict[str, int]:
    """How many features each of the layers holds, in one round trip; nothing while Redis does not answer."""
    try:
        with refusing():
            pipe = sync_redis().pipeline(transaction=False)
            for name in names:
                pipe.hlen(Feed(f"layer:{name}").keys[0])
            return dict(zip(names, pipe.execute(), strict=True))
    except StreamError as error:
        logger.warning("features cannot be counted: %s", error)
        return {}


class Catalogue:
    """All layers, read from the database at most every few seconds."""

    def __init__(self) -> None:
        self._layers: dict[str, LayerSettings] = {}
        self._read_at: float | None = None

    def clear(self) -> None:
        """Ask the database next time."""
        self._read_at = None

    def all_sync(self) -> dict[str, LayerSettings]:
        """Every layer by name."""
        if not self._fresh:
            self._keep(_read_layers())
        return self._layers

    async def all(self) -> dict[str, LayerSettings]:
        """The same on the event loop."""
        if not self._fresh:
            self._keep(await database_sync_to_async(_read_layers)())
        return self._layers

    def get_sync(self, name: str) -> LayerSettings:
        """One layer; `StreamError("unknown_layer")`."""
        layer = self.all_sync().get(name)
        if layer is None:
            self.clear()
            layer = self.all_sync().get(name)
        return _known(layer, name)

    async def get(self, name: str) -> LayerSettings:
        """The same on the event loop."""
        layer = (await self.all()).get(name)
        if layer is None:
            self.clear()
            layer = (await self.all()).get(name)
        return _known(layer, name)

    @property
    def _fresh(self) -> bool:
        return self._read_at is not None and time.monotonic() - self._read_at < conf.AUTH_CACHE_SECONDS

    def _keep(self, layers: dict[str, LayerSettings]) -> None:
        self._layers = layers
        self._read_at = time.monotonic()


catalogue = Catalogue()


async def readable(layer: LayerSettings, user: Any) -> bool:
    """Whether a user may read a layer, without touching the database for public ones."""
    return layer.public or await database_sync_to_async(layer.readable_by)(user)


def _read_layers() -> dict[str, LayerSettings]:
    return {layer.name: settings_of(layer) for layer in Layer.objects.all()}


def _known(layer: LayerSettings | None, name: str) -> LayerSettings:
    if layer is None:
        raise StreamError("unknown_layer", f"there is no layer {name[:100]!r}")
    return layer
