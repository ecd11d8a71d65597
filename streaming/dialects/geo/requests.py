"""What clients ask for, understood: conditions, presentation, cursors. Nothing here touches a connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET, structs

from streaming.conf import conf
from streaming.core.attributes import compile_attributes
from streaming.core.errors import StreamError
from streaming.core.feed import Cursor
from streaming.core.filters import Filter, FilterSpec, compile_filter
from streaming.core.items import Item
from streaming.core.presentation import Presentation, compile_presentation

from .messages import SubscribeEvents, SubscribeFeatures, UpdateSubscription

MAX_ID = 200
_FILTER_KEYS = ("bbox", "geometry", "filters", "datetime", "filter", "filter_lang")


@dataclass(frozen=True)
class Wanted:
    """A feature subscription as asked for; all but `message` is derived from it."""

    message: SubscribeFeatures
    presentation: Presentation

    @property
    def batch(self) -> bool:
        """Whether changes of one turn come together."""
        return bool(self.message.batch)

    def filter_for(self, time_property: str | None) -> Filter:
        """The compiled conditions for a layer with this time property."""
        message = self.message
        spec = FilterSpec(
            bbox=message.bbox,
            geometry=message.geometry,
            filters=message.filters,
            datetime=message.datetime,
            filter=message.filter,
            filter_lang=message.filter_lang,
            time_property=time_property,
        )
        return compile_filter(spec, conf.MAX_POLYGON_VERTICES)

    def cursor_of(self, layer: str) -> Cursor | None:
        """Where the client says it is in a layer."""
        given = self.message.cursor
        text = given.get(layer) if isinstance(given, dict) else given
        return None if text is None else Cursor.parse(text)

    def described(self) -> dict[str, Any]:
        """The conditions that were given, for people."""
        keys = (*_FILTER_KEYS, "crs", "properties", "max_rate", "batch")
        return {key: value for key in keys if (value := getattr(self.message, key)) is not None}


async def wanted(message: SubscribeFeatures) -> Wanted:
    """Check what can be checked without a layer. `StreamError`."""
    check_id(message.subscription_id)
    if isinstance(message.cursor, dict) != (message.layer is None) and message.cursor is not None:
        raise StreamError("invalid_cursor", "a subscription to one layer takes a text, one to all layers an object {layer: cursor}")
    for text in message.cursor.values() if isinstance(message.cursor, dict) else filter(None, [message.cursor]):
        Cursor.parse(text)
    if message.crs is None:
        presentation = compile_presentation(None, message.properties)
    else:
        # The first use of a CRS reads a database: off the event loop.
        presentation = await asyncio.to_thread(compile_presentation, message.crs, message.properties)
    return Wanted(message, presentation)


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
