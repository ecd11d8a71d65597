"""Takes messages to their subscribers: small ones in the turn of the event loop in which they come, large ones by way of threads.

How long a message takes depends on its size and on in how many ways it is seen. What would take the loop more than a few milliseconds is
prepared in the process's threads for costly work, one way of seeing it after the other, and the messages of the same channel or layer wait
behind it. Nothing else waits. What is left of a turn's work after a few milliseconds is done in the next turn.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence

from streaming.core.tasks import TaskSet
from streaming.engine.work import WorkQueue

from ..geojson.client_filters import Sight
from ..geojson.values import BadValue
from .arrivals import Arrivals
from .lanes import Lanes, Message
from .messages import ChannelMessage, DeliveryBatch, Publication, flush
from .subscriber_index import SubscriberIndex
from .subscribers import FrameCache, Subscriber

logger = logging.getLogger(__name__)

TURN_SECONDS = 0.004
"""Of the event loop, before others have a turn."""
SMALL_BYTES, TURN_BYTES = 512, 64 * 1024
"""A message is prepared in the loop if it is small, or if its bytes times the ways in which it is seen are no more than this."""
BATCH = 512
"""Messages that are sent together."""
SIGHTS = 64
"""Ways of seeing a message that are judged in one piece of work."""
ROUNDS = 4
"""How often a large message is looked at again for those who changed their filters while it was prepared."""


class Dispatcher:
    """Every message of one process, on its way."""

    def __init__(self, work: WorkQueue) -> None:
        self.bad = 0
        """Messages that were no JSON, and features that were left out of one."""
        self._work = work
        self._arrived = Arrivals()
        self._batch = DeliveryBatch()
        self.lanes = Lanes()
        self._tasks = TaskSet()
        self._next: asyncio.Handle | None = None

    @property
    def idle(self) -> bool:
        """Whether everything small was sent, and large messages are on their way."""
        return self._next is None

    def publish(self, messages: Iterable[Message]) -> None:
        """Send messages to their subscribers, in order."""
        for message in messages:
            self._arrived.add(message)
        if self._next is None:
            self._turn()
        else:
            self._bound()

    def stop(self) -> None:
        """Send nothing any more."""
        self._tasks.cancel()
        self._arrived.clear()
        if self._next is not None:
            self._next.cancel()

    # -- a turn of the event loop ------------------------------------------

    def _turn(self) -> None:
        self._next = None
        until = time.perf_counter() + TURN_SECONDS
        while self._arrived and self._batch.messages < BATCH:
            self._take(self._arrived.pop())
            if time.perf_counter() > until:
                break
        else:
            self._batch.deliver(until)
        if self._arrived or self._batch.messages:
            self._schedule()

    def _schedule(self) -> None:
        if self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self._turn)

    def _bound(self) -> None:
        """More has come than can be sent."""
        for dropped in self._arrived.drop_excess():
            dropped.drop()
            self.lanes.dropped += 1
        while self._arrived.too_many_kept:
            self._take(self._arrived.pop())

    def _take(self, message: Message) -> None:
        if message.source in self.lanes:
            self.lanes.append(message)
            return
        try:
            indexes = message.indexes()
            if not is_large(message, indexes):
                self._add(message, indexes)
            elif self.lanes.open(message):
                self._tasks.spawn(self._clear_lane(message))
        except BadValue:
            self.bad += 1
        except Exception:
            logger.exception("a message of Redis could not be delivered")

    def _add(self, message: Message, indexes: Sequence[SubscriberIndex]) -> None:
        if indexes:
            self._batch.add(self._opened(message), indexes)

    def _opened(self, message: Message) -> Publication:
        publication = message.publication()
        self.bad += publication.left_out
        return publication

    # -- large messages ----------------------------------------------------

    async def _clear_lane(self, first: Message) -> None:
        """Send a large message, and then all that has come to wait behind it, in order."""
        message: Message | None = first
        until = time.perf_counter() + TURN_SECONDS
        while message is not None:
            try:
                await self._prepare(message)
            except BadValue:
                self.bad += 1
            except Exception:
                logger.exception("a message of Redis could not be delivered")
            if self._batch.messages >= BATCH or time.perf_counter() > until:
                await asyncio.sleep(0)
                until = time.perf_counter() + TURN_SECONDS
            message = self.lanes.next(first.source)

    async def _prepare(self, message: Message) -> None:
        indexes = message.indexes()
        if is_large(message, indexes):
            publication = await self._work.run(message.source, message.publication)
            self.bad += publication.left_out
            await self._send(message, publication)
        else:
            self._add(message, indexes)
            self._schedule()

    async def _send(self, message: Message, publication: Publication) -> None:
        served = set[Subscriber]()
        for _ in range(ROUNDS):
            sights = {subscriber.filters.sight for subscriber in _left(message, served)}
            if not sights:
                return
            seen = await self._judge(message, publication, list(sights))
            served.update(subscriber for subscriber in _left(message, served) if seen.get(subscriber.filters.sight, publication) is None)
            answers = {(id(one), sight.answer): (one, sight) for sight, one in seen.items() if one is not None}
            for one, sight in sorted(answers.values(), key=lambda answer: answer[1].crs.code):
                envelope = await self._work.run(message.source, one.envelope, sight, None)
                alike = {each for each, other in seen.items() if other is one and each.answer == sight.answer}
                await self._deliver(message, one, envelope, alike, served)
                del envelope
                publication.forget()

    async def _judge(self, message: Message, publication: Publication, sights: list[Sight]) -> dict[Sight, ChannelMessage | None]:
        seen: dict[Sight, ChannelMessage | None] = {}
        for start in range(0, len(sights), SIGHTS):
            seen |= await self._work.run(message.source, _judged, publication, sights[start : start + SIGHTS])
        return seen

    async def _deliver(self, message: Message, seen: ChannelMessage, envelope: bytes, alike: set[Sight], served: set[Subscriber]) -> None:
        """To those who see it so by now."""
        frames: FrameCache = {}
        envelopes: dict[str | None, bytes] = {None: envelope}  # which frames are found by
        until = time.perf_counter() + TURN_SECONDS
        for index in message.indexes():
            for subscriber in list(index.references):
                if subscriber in served or subscriber not in index.references or subscriber.filters.sight not in alike:
                    continue
                served.add(subscriber)
                flush(subscriber, {})
                reference = index.references[subscriber]
                if reference not in envelopes:
                    envelopes[reference] = seen.referring(envelope, reference)
                subscriber.pending.append(envelopes[reference])
                flush(subscriber, frames)
                if time.perf_counter() > until:
                    await asyncio.sleep(0)
                    until = time.perf_counter() + TURN_SECONDS


def is_large(message: Message, indexes: Sequence[SubscriberIndex]) -> bool:
    """Whether it may take the event loop too long to prepare a message for its subscribers."""
    if message.size <= SMALL_BYTES or not indexes:
        return False
    return message.size * (1 + sum(index.answers for index in indexes)) > TURN_BYTES


def _left(message: Message, served: set[Subscriber]) -> list[Subscriber]:
    return [subscriber for index in message.indexes() for subscriber in index.references if subscriber not in served]


def _judged(publication: Publication, sights: Sequence[Sight]) -> dict[Sight, ChannelMessage | None]:
    return {sight: publication.seen_by(sight) for sight in sights}
