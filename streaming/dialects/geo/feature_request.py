"""A checked `subscribe_features` message: its conditions, presentation and cursors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec import UNSET, structs

from streaming.core.errors import StreamError
from streaming.core.feed import Cursor
from streaming.features.subscription_request import CheckedRequest, SubscriptionRequest, presentation_of

from .messages import SubscribeFeatures, UpdateSubscription


@dataclass(frozen=True)
class FeatureRequest(CheckedRequest):
    """A request for features; all but `message` is derived from it."""

    message: SubscribeFeatures

    @classmethod
    async def check(cls, message: SubscribeFeatures) -> FeatureRequest:
        """Check what can be checked without a layer. `StreamError`."""
        cursor = message.cursor
        if isinstance(cursor, dict) != (message.layer is None) and cursor is not None:
            raise StreamError("invalid_cursor", "a subscription to one layer takes a text, one to all layers an object {layer: cursor}")
        for text in cursor.values() if isinstance(cursor, dict) else filter(None, [cursor]):
            Cursor.parse(text)
        request = SubscriptionRequest(**{name: getattr(message, name) for name in SubscriptionRequest.__struct_fields__})
        return cls(request, await presentation_of(request), message)

    async def updated(self, message: UpdateSubscription) -> FeatureRequest:
        """The same request with the members of an update. `StreamError`."""
        changes = {name: value for name in message.__struct_fields__ if (value := getattr(message, name)) is not UNSET}
        if "zoom_range" in changes:
            raise StreamError("bad_request", "features have no `zoom_range`")
        if "layer" in changes and changes["layer"] != self.message.layer:
            raise StreamError("bad_request", "a subscription keeps its layer; subscribe to the other one")
        return await self.check(structs.replace(self.message, cursor=None, **changes))

    @property
    def batch(self) -> bool:
        """Whether changes that happen together are sent as one collection."""
        return bool(self.message.batch)

    def cursor_of(self, layer: str) -> Cursor | None:
        """The client's cursor in a layer."""
        cursor = self.message.cursor
        text = cursor.get(layer) if isinstance(cursor, dict) else cursor
        return None if text is None else Cursor.parse(text)

    def describe(self) -> dict[str, Any]:
        """The members that were given, for the admin."""
        batch = {} if self.message.batch is None else {"batch": self.message.batch}
        return super().describe() | batch
