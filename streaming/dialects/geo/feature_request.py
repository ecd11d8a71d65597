"""A checked `subscribe_features` message: its conditions, presentation and cursors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec import UNSET, structs

from streaming.core.errors import StreamError
from streaming.core.feed import Cursor
from streaming.core.filters import Filter, FilterSpec, compile_filter
from streaming.features.aggregates.spec import AggregateSpec
from streaming.features.subscription_request import CheckedRequest, SubscriptionRequest, presentation_of

from .messages import MERGE_PATCH, Aggregate, SubscribeFeatures, UpdateSubscription


@dataclass(frozen=True)
class FeatureRequest(CheckedRequest):
    """A request for features; all but `message` is derived from it."""

    message: SubscribeFeatures
    aggregate: AggregateSpec | None = None

    @classmethod
    async def check(cls, message: SubscribeFeatures) -> FeatureRequest:
        """Check what can be checked without a layer. `StreamError`."""
        cursor = message.cursor
        if isinstance(cursor, dict) != (message.layer is None) and cursor is not None:
            raise StreamError("invalid_cursor", "a subscription to one layer takes a text, one to all layers an object {layer: cursor}")
        for text in cursor.values() if isinstance(cursor, dict) else filter(None, [cursor]):
            Cursor.parse(text)
        request = SubscriptionRequest(**{name: getattr(message, name) for name in SubscriptionRequest.__struct_fields__})
        return cls(request, await presentation_of(request), message, _aggregate_of(message))

    async def updated(self, message: UpdateSubscription) -> FeatureRequest:
        """The same request with the members of an update. `StreamError`."""
        changes = {name: value for name in message.__struct_fields__ if (value := getattr(message, name)) is not UNSET}
        if "zoom_range" in changes:
            raise StreamError("bad_request", "features have no `zoom_range`")
        if "layer" in changes and changes["layer"] != self.message.layer:
            raise StreamError("bad_request", "a subscription keeps its layer; subscribe to the other one")
        return await self.check(structs.replace(self.message, cursor=None, **changes))

    def filter_for(self, time_property: str | None) -> Filter:
        """The compiled conditions of what is sent: features, or cells, which only the box selects."""
        return super().filter_for(time_property) if self.aggregate is None else compile_filter(FilterSpec(bbox=self.request.bbox))

    def counted_for(self, time_property: str | None) -> Filter:
        """The compiled conditions of the features that are counted in cells."""
        return CheckedRequest(structs.replace(self.request, bbox=None), self.presentation).filter_for(time_property)

    @property
    def cells(self) -> Aggregate | None:
        """The aggregate as answers name it: with the resolution that was taken."""
        return None if self.aggregate is None else Aggregate(**self.aggregate.info())

    @property
    def batch(self) -> bool:
        """Whether changes that happen together are sent as one collection."""
        return bool(self.message.batch)

    @property
    def delta(self) -> bool:
        """Whether the client can apply merge patches. Cells are sent whole."""
        return self.aggregate is None and MERGE_PATCH in (self.message.delta or ())

    def cursor_of(self, layer: str) -> Cursor | None:
        """The client's cursor in a layer."""
        cursor = self.message.cursor
        text = cursor.get(layer) if isinstance(cursor, dict) else cursor
        return None if text is None else Cursor.parse(text)

    def describe(self) -> dict[str, Any]:
        """The members that were given, for the admin."""
        message = self.message
        given = {name: value for name in ("batch", "delta") if (value := getattr(message, name)) is not None}
        cells = {} if self.aggregate is None else {"aggregate": self.aggregate.info()}
        return super().describe() | given | cells


def _aggregate_of(message: SubscribeFeatures) -> AggregateSpec | None:
    asked = message.aggregate
    if asked is None:
        return None
    if message.layer is None:
        raise StreamError("bad_request", "an aggregate is one of a layer: name it")
    if message.min_distance is not None:
        raise StreamError("bad_request", "cells do not move: an aggregate takes no min_distance")
    return AggregateSpec.check(asked.by, asked.resolution, asked.zoom, asked.properties)
