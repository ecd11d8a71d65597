"""The values that subscriptions yield: feature changes and events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Feature = dict[str, Any]
"""A GeoJSON Feature."""

FeatureId = str | int
"""A feature's id as it was published: 7 and "7" are two features."""

FeatureKey = FeatureId | tuple[str | None, FeatureId]
"""The id; in a subscription to every layer, (layer, id)."""

ChangeType = Literal["added", "updated", "deleted"]


@dataclass(frozen=True, slots=True)
class FeatureChange:
    """A step of one feature. A deletion's `feature` has a null geometry and no properties.

    `reason`: why a feature was deleted: `left_view`, `expired` or `deleted`; None if it vanished while the client was away.
    `cursor`, where it is not None: a program that has handled this change and all before it has everything up to there.
    """

    type: ChangeType
    layer: str | None
    id: FeatureId
    feature: Feature
    reason: str | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `gap` is the number of events that were missed just before it (0: none)."""

    event_type: str
    payload: Any
    timestamp: datetime
    cursor: str | None = None
    gap: int = 0
