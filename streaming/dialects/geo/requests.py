"""What clients ask for, understood: conditions, presentation, cursors. Nothing here touches a connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec import UNSET, structs

from streaming.core.attributes import compile_attributes
from streaming.core.errors import StreamError
from streaming.core.feed import Cursor
from streaming.core.items import Item
from streaming.features import subscription_request as features

from .messages import SubscribeEvents, SubscribeFeatures, UpdateSubscription

MAX_ID = 200


@dataclass(frozen=True)
class Wanted(features.CheckedRequest):
    """A feature subscription as asked for; all but `message` is derived from it."""

    message: SubscribeFeatures

    @property
    def batch(self) -> bool:
        """Whether changes of one turn come together."""
        return bool(self.message.batch)

    def cursor_of(self, layer: str) -> Cursor | None:
        """Where the client says it is in a layer."""
        given = self.message.cursor
        text = given.get(layer) if isinstance(given, dict) else given
        return None if text is None else Cursor.parse(text)

    def describe(self) -> dict[str, Any]:
        """What was given, for people."""
        batch = {} if self.message.batch is None else {"batch": self.message.batch}
        return super().describe() | batch


async def wanted(message: SubscribeFeatures) -> Wanted:
    """Check what can be checked without a layer. `StreamError`."""
    check_id(message.subscription_id)
    if isinstance(message.cursor, dict) != (message.layer is None) and message.cursor is not None:
        raise StreamError("invalid_cursor", "a subscription to one layer takes a text, one to all layers an object {layer: cursor}")
    for text in message.cursor.values() if isinstance(message.cursor, dict) else filter(None, [message.cursor]):
        Cursor.parse(text)
    request = features.SubscriptionRequest(**{name: getattr(message, name) for name in features.SubscriptionRequest.__struct_fields__})
    return Wanted(request, await features.presentation_of(request), message)


async def updated(before: Wanted, message: UpdateSubscription) -> Wanted:
    """The same subscription with the keys of an update."""
    changes = {name: value for name in message.__struct_fields__ if (value := getattr(message, name)) is not UNSET}
    if "zoom_range" in changes:
        raise StreamError("bad_request", "features have no `zoom_range`")
    if "layer" in changes and changes["layer"] != before.message.layer:
        raise StreamError("bad_request", "a subscription keeps its layer; subscribe to the other one")
    return await wanted(structs.replace(before.message, cursor=None, **changes))


class EventCondition:
    """Which events are wanted: some types and, of those, what the filters say of the payload."""

    boxes = None

    def __init__(self, message: SubscribeEvents) -> None:
        check_id(message.subscription_id)
        types = frozenset(kind.value for kind in message.event_types)
        condition = compile_attributes(message.filters, message.filter, message.filter_lang)
        self.key = (types, str(message.filters), str(message.filter), message.filter_lang)

        def matches(item: Item) -> bool:
            event = item.feature
            return event["event_type"] in types and condition(_members(event))

        self.matches = matches


def _members(event: dict[str, Any]) -> dict[str, Any]:
    payload = event["payload"]
    own = {"event_type": event["event_type"], "timestamp": event["timestamp"]}
    return {**own, **payload} if isinstance(payload, dict) else own


def check_id(subscription_id: str) -> None:
    """`StreamError("bad_request")` if it cannot be the id of a subscription."""
    if len(subscription_id) > MAX_ID:
        raise StreamError("bad_request", f"a subscription_id may have {MAX_ID} characters")
    if "\0" in subscription_id:
        raise StreamError("bad_request", "a subscription_id may not contain NUL")
