"""The client's own copy of what a feature subscription shows.

It is exactly the state that the messages lead to, also across a reconnect: after a break either the missed difference or the whole
state arrives, and the changes this collection reports are the same that would have been seen without the break, merged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from .changes import ChangeType, Feature, FeatureChange, FeatureId, FeatureKey

_encode = msgspec.json.Encoder(order="sorted").encode


class Collection:
    """Features by id (by layer and id if `every_layer`), kept up to date by `apply`."""

    def __init__(self, every_layer: bool) -> None:
        self._every_layer = every_layer
        self._features: dict[FeatureKey, Feature] = {}
        self._stale: dict[FeatureKey, str | None] = {}  # key to layer: not yet seen in the state that replaces this one
        self._catching_up = False
        self._whole = False
        self.features: Mapping[FeatureKey, Feature] = MappingProxyType(self._features)

    def key(self, layer: str | None, id: FeatureId) -> FeatureKey:
        """What a feature is found by."""
        return (layer, id) if self._every_layer else id

    def catch_up(self) -> None:
        """What was missed follows: what is in fact known already is no change."""
        self._catching_up = True

    def replace(self, layer: str | None) -> None:
        """The whole state follows; what is not in it by `complete` is gone."""
        self._catching_up = True
        self._whole = True
        self._stale = {key: key[0] if isinstance(key, tuple) else layer for key in self._features}

    def interrupted(self) -> None:
        """The rest of what was to follow will not come."""
        self._catching_up = False
        self._stale = {}

    def complete(self) -> Iterator[FeatureChange]:
        """All that was to follow has arrived: forget the features that are gone, and return them."""
        self._catching_up = False
        stale, self._stale = self._stale, {}
        for key, layer in stale.items():
            id = key[1] if isinstance(key, tuple) else key
            del self._features[key]
            yield FeatureChange("deleted", layer, id, _gone(id))

    def apply(self, kind: ChangeType, layer: str | None, id: FeatureId, feature: Feature, reason: str | None) -> FeatureChange | None:
        """Take a change in. The answer is what it means here, None if nothing."""
        key = self.key(layer, id)
        self._stale.pop(key, None)
        known = self._features.get(key)
        if kind == "deleted":
            self._features.pop(key, None)
            unknown = known is None and self._whole
            return None if unknown else FeatureChange("deleted", layer, id, feature, reason)
        self._features[key] = feature
        if known is None:
            return FeatureChange("added" if self._whole else kind, layer, id, feature)
        if self._catching_up and _same(known, feature):
            return None
        return FeatureChange("updated", layer, id, feature)


def _gone(id: FeatureId) -> Feature:
    return {"type": "Feature", "id": id, "geometry": None, "properties": {}}


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: Python takes True for 1."""
    return one == other and _encode(one) == _encode(other)
