"""The settings of feature layers, in the memory of each process, so that no message waits for the database.

A saved layer clears the `catalogue` of every process at once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from streaming.core.errors import StreamError
from streaming.core.feed import Feed, FeedOptions
from streaming.core.redis import refusing, sync_feed_redis
from streaming.engine.catalogue import Catalogue
from streaming.models import Layer

from .geojson import DEFAULT_RULES, FeatureRules

logger = logging.getLogger(__name__)

VIEW_LAYER = "streaming.view_layer"
"""What reads private layers that name no permission."""


@dataclass(frozen=True, slots=True)
class LayerSettings:
    """One layer's settings, read from its row."""

    name: str
    title: str
    public: bool
    permission: str
    time_property: str | None
    options: FeedOptions
    wrap_longitude: bool = False
    group: str = ""
    order: int = 0
    style: dict[str, Any] | None = field(default=None, hash=False)

    @property
    def permissions(self) -> tuple[str, ...]:
        """The permissions needed to read it."""
        return () if self.public else (self.permission,)

    @property
    def rules(self) -> FeatureRules:
        """How its features are read."""
        return FeatureRules(self.wrap_longitude, self.time_property)

    def readable_by(self, user: Any) -> bool:
        """Whether the user may read it. May ask the database for permissions."""
        return self.public or bool(user.is_authenticated and user.has_perm(self.permission))

    @classmethod
    def from_row(cls, layer: Layer) -> LayerSettings:
        """The settings of a row."""
        return cls(
            name=layer.name,
            title=layer.title or layer.name,
            public=layer.public,
            permission=layer.permission or VIEW_LAYER,
            time_property=layer.time_property or None,
            options=FeedOptions(layer.log_length, layer.max_features, layer.ttl_seconds),
            wrap_longitude=layer.wrap_longitude,
            group=layer.group,
            order=layer.order,
            style=layer.style,
        )


def layer_feed(layer: LayerSettings) -> Feed:
    """The feed that holds a layer's features."""
    return Feed(f"layer:{layer.name}", layer.options)


def layer_rules(name: str) -> FeatureRules:
    """How the features of a layer are read, which need not exist yet."""
    try:
        return catalogue.get_sync(name).rules
    except StreamError:
        return DEFAULT_RULES


async def alayer_rules(name: str) -> FeatureRules:
    """`layer_rules` for coroutines."""
    try:
        return (await catalogue.get(name)).rules
    except StreamError:
        return DEFAULT_RULES


def feature_counts(names: Sequence[str]) -> dict[str, int]:
    """How many features each of the layers holds, in one round trip; empty while Redis does not answer."""
    try:
        with refusing():
            pipe = sync_feed_redis().pipeline(transaction=False)
            for name in names:
                pipe.hlen(Feed(f"layer:{name}").keys[0])
            return dict(zip(names, pipe.execute(), strict=True))
    except StreamError as error:
        logger.warning("features cannot be counted: %s", error)
        return {}


def _read_layers() -> dict[str, LayerSettings]:
    return {layer.name: LayerSettings.from_row(layer) for layer in Layer.objects.all()}


catalogue = Catalogue("layer", _read_layers)
