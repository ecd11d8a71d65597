"""Subscriptions to events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import structs

from streaming.core.attributes import compile_attributes
from streaming.core.bbox import Box
from streaming.core.deliveries import LogQueue
from streaming.core.errors import StreamError
from streaming.core.feed import Cursor
from streaming.core.items import Item
from streaming.core.spatial import compile_bbox
from streaming.core.view import View
from streaming.features.costly_filters import check_room
from streaming.features.event_access import check_types, event_rights, is_readable
from streaming.features.event_audience import NO_RIGHTS, Rights
from streaming.features.events import event_feed

from .event_encoder import EventEncoder, EventVariant
from .messages import Ack, SubscribeEvents, SubscriptionInfo, UpdateSubscription
from .subscription import Subscriber, Subscription


class EventSubscription(Subscription):
    """Events of some types, filtered by their payload."""

    kind = "events"

    def __init__(self, session: Subscriber, message: SubscribeEvents) -> None:
        super().__init__(session, message.subscription_id)
        self._message = message = structs.replace(message, event_types=list(dict.fromkeys(message.event_types)))
        encoder = EventEncoder.of(EventVariant(session.encoding, session.framing, self.id))
        self._queue = LogQueue(encoder, session.outbox.limits.events)
        self._rights = NO_RIGHTS
        self._view = View(session.outbox, encoder, EventCondition(message, self._rights), queue=self._queue, lane=self.id)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def dropped(self) -> int:
        return self._queue.dropped

    async def start(self) -> None:
        self._rights = await self._readable()
        self._view.filter = EventCondition(self._message, self._rights)
        hub, outbox = self._session.runtime.hub, self._session.outbox
        tail = await hub.tail(event_feed())
        cursor = None if self._message.cursor is None else Cursor.parse(self._message.cursor)
        if cursor is not None:
            await hub.reach(tail, cursor)
        check_room(hub, outbox, [self._view.filter])
        # Nothing awaits from here on, until it has joined.
        missed, gap = (None, 0) if cursor is None else tail.select_missed(self._view.filter, cursor)
        known = cursor is not None and cursor.epoch == tail.epoch and cursor.seq <= tail.seq
        tail.join(self._view)
        reached, place = self._view.cursor, self._view.reserve()
        try:
            if missed is not None:
                await self._select(missed)
        except BaseException:
            self.stop()
            raise
        ack = Ack(
            request_id=self.id,
            success=True,
            message="Subscribed to events",
            cursor=reached,
            snapshot_count=len(missed or ()),
            recovered=None if cursor is None else known and not gap,
        )
        outbox.fill(place, [self._session.frames(ack), *([self._view.bulk_of(missed, gap)] if missed else [])])
        if not missed:
            self._view.lost(gap)

    async def update(self, message: UpdateSubscription) -> None:
        raise StreamError("bad_request", "only subscriptions to features and tiles can be updated")

    async def review(self) -> None:
        """Events of some types may not be public, and the user may have changed."""
        try:
            rights = await self._readable()
        except StreamError as error:
            self.stop()
            self._end(error)
            return
        feed = self._view.follows
        if rights != self._rights and feed is not None:
            feed.leave(self._view)
            self._rights = rights
            self._view.filter = EventCondition(self._message, rights)
            feed.join(self._view)

    async def _readable(self) -> Rights:
        """What the user has, of what events need. `StreamError` if that opens none of the types."""
        user = self._session.user
        rights = await event_rights(user)
        check_types([kind.value for kind in self._message.event_types], user, rights)
        return rights

    def stop(self) -> None:
        self._view.leave()

    def info(self) -> SubscriptionInfo:
        message = self._message
        return SubscriptionInfo(
            subscription_id=self.id,
            kind=self.kind,
            bbox=message.bbox,
            filters=message.filters,
            filter=message.filter,
            filter_lang=message.filter_lang,
            event_types=message.event_types,
            cursor=None if self._session.outbox.waits(self._view) else self._view.cursor,
        )

    def describe(self) -> dict[str, Any]:
        message = self._message
        described: dict[str, Any] = {"types": ", ".join(kind.value for kind in message.event_types)}
        for name in ("bbox", "filters", "filter"):
            if getattr(message, name) is not None:
                described[name] = getattr(message, name)
        return {"feed": "events", "filter": described}


class EventCondition:
    """The condition of a subscription to events: some types and, of those, a filter on the payload and a box that its `bbox` touches."""

    boxes = None
    plain = False

    def __init__(self, message: SubscribeEvents, rights: Rights) -> None:
        types = frozenset(kind.value for kind in message.event_types)
        condition = compile_attributes(message.filters, message.filter, message.filter_lang)
        boxes = None if message.bbox is None else compile_bbox(message.bbox).boxes
        self.costly = message.filter is not None
        self.key = (types, rights, boxes, str(message.filters), str(message.filter), message.filter_lang)

        def matches(item: Item) -> bool:
            event = item.feature
            if event["event_type"] not in types or (boxes is not None and not _touches(event["payload"], boxes)):
                return False
            return is_readable(event, rights) and condition(_attributes(event))

        self.matches = matches


def _touches(payload: Any, boxes: Sequence[Box]) -> bool:
    """Whether the `bbox` of a payload touches one of the boxes. What has none that can be read is nowhere."""
    try:
        its = compile_bbox(payload["bbox"]).boxes
    except (KeyError, TypeError, IndexError, StreamError):
        return False
    return any(a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3] for a in its for b in boxes)


def _attributes(event: dict[str, Any]) -> dict[str, Any]:
    """What a filter can name: the payload's members, and the event's own type and timestamp."""
    payload = event["payload"]
    own = {"event_type": event["event_type"], "timestamp": event["timestamp"]}
    return {**own, **payload} if isinstance(payload, dict) else own
