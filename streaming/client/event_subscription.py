"""A subscription to events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..dialects.geo.messages import Ack, Message, SubscribeEvents
from ..dialects.geo.messages import Event as EventMessage
from .changes import Event
from .conditions import build
from .errors import ProtocolError
from .subscription import Owner, Subscription
from .waiting import WaitingEvents


class EventSubscription(Subscription[Event]):
    """Events of some types, in order. A reader that is too slow misses the oldest; the `gap` of the next one is their number."""

    _waiting: WaitingEvents

    def __init__(self, owner: Owner, id: str, event_types: Sequence[str], wire: Mapping[str, Any], limit: int) -> None:
        super().__init__(owner, id, wire, WaitingEvents(limit))
        self.event_types = tuple(event_types)

    def _request(self) -> Message:
        members = {**self._wire, "subscription_id": self.id, "event_types": self.event_types, "cursor": self.cursor}
        return build(SubscribeEvents, members)

    def _accepted(self, ack: Ack) -> None:
        self.recovered = ack.recovered
        self._position.begin(ack.cursor, ack.snapshot_count or 0)

    def _receive(self, message: EventMessage) -> None:
        # a cursor that is not known is no reason to lose events: with the one before it, some may come twice
        known = message.cursor if isinstance(message.cursor, str) else self.cursor
        self._position.received(known if isinstance(known, str) else None, 1)
        self._waiting.put(_event(message))


def _event(message: EventMessage) -> Event:
    try:
        timestamp = datetime.fromisoformat(message.timestamp)
    except ValueError as error:
        raise ProtocolError(f"the server sent an event without a readable time: {error}") from error
    cursor = message.cursor if isinstance(message.cursor, str) else None
    gap = message.gap if isinstance(message.gap, int) else 0
    return Event(message.event_type.value, message.payload, timestamp, cursor, gap)
