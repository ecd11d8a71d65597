"""One member's view of the messages of a topic with history.

Members with the same encoder share every frame. After the messages of one turn comes `last_id`, a cursor: a client that has received it
has everything up to there. What a slow client did not get is counted, and the client receives the count as `gap`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from streaming.core import deliveries
from streaming.core.deliveries import Delivery, LogQueue
from streaming.core.interning import Interned
from streaming.core.items import Item
from streaming.core.view import View

from .history_store import stored_message
from .messages import TopicMessage
from .rooms import Member, TopicEncoder


class Everything:
    """The condition that all members share."""

    key = "everything"
    boxes = None
    costly = False
    plain = False

    @property
    def matches(self) -> Callable[[Item], bool]:
        """Every item matches."""
        return lambda item: True


EVERYTHING = Everything()


class Variant(NamedTuple):
    """All that the frames of a message depend on, besides the message."""

    topic: str
    encoder: TopicEncoder


class HistoryEncoder(Interned[Variant]):
    """Encodes messages as frames of one variant."""

    def frames(self, deliveries: Sequence[Delivery], gap: int = 0) -> list[Any]:
        """The messages, a `gap` before them if some were lost, and `last_id` after them."""
        topic, encoder = self.variant
        run = [TopicMessage(topic, "gap", b'{"count":%d}' % gap)] if gap else []
        run += [message_of(topic, delivery.item) for delivery in deliveries if delivery.item is not None]
        if deliveries:
            run.append(TopicMessage(topic, "last_id", f'{{"id":"{deliveries[-1].cursor}"}}'.encode()))
        return encoder.broadcast(run)


def message_of(topic: str, item: Item) -> TopicMessage:
    """The message of an item of a topic's feed, decoded once."""
    message: TopicMessage | None = item.forms.get(TopicMessage)
    if message is None:
        message = item.forms[TopicMessage] = stored_message(topic, item.value)
    return message


class HistoryView(View):
    """Delivers to one member. Its queue drops the oldest of what waits for a slow client, and counts it."""

    def __init__(self, member: Member) -> None:
        encoder = HistoryEncoder.of(Variant(member.topic, member.encoder))
        limits = member.outbox.limits
        self.log = LogQueue(
            encoder, max(limits.events, limits.messages // 2)
        )  # within the bounds of the connection: it is not closed for it
        super().__init__(member.outbox, encoder, EVERYTHING, queue=self.log)
        self._member = member

    def deliver(self, run: Sequence[Delivery], shared: dict[deliveries.Encoder, object]) -> None:
        """Deliver the messages of one turn. Of one that is not for this member, only its cursor."""
        wanted = [self._seen(delivery) for delivery in run]
        before = self.log.dropped
        super().deliver(wanted, shared if wanted == list(run) else {})
        self._count(len(run), self.log.dropped - before)

    def lost(self, count: int) -> None:
        """Count messages that are lost, if any, and deliver the present cursor: it has changed, perhaps only in its epoch."""
        super().lost(count)
        assert self.follows is not None
        here = self.follows.cursor
        self.outbox.deliver(self, [Delivery("event", "", None, here.epoch, here.seq)], {})

    def _seen(self, delivery: Delivery) -> Delivery:
        if delivery.item is None or message_of(self._member.topic, delivery.item).without != self._member.id:
            return delivery
        return Delivery("event", delivery.key, None, delivery.epoch, delivery.seq)

    def _count(self, delivered: int, dropped: int) -> None:
        """For the operators' view, as rooms count what they deliver."""
        self._member.delivered += delivered
        room = self._member.room
        if room is not None:
            room.delivered += delivered
            room.dropped += dropped
            if next(iter(room.members.values())) is self._member:
                room.published += delivered
