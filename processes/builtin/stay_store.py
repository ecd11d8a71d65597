"""Where a geofence keeps its stays: in Redis, beside the layers.

One step stores the stays that have changed, the events of that, and the place in the layer's log that all of it is of. Events are published
from there, with a number as their idempotency key, and then removed. So they are published once, whenever the worker is killed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from processes.worker import JobFailed
from streaming.core.errors import StreamError
from streaming.core.feed import Feed, FeedOptions
from streaming.core.redis import async_feed_redis, refusing
from streaming.features.event_audience import Audience
from streaming.features.events import apublish_event

from .stays import Crossing, Stay

logger = logging.getLogger(__name__)

MOST_CROSSINGS = 400
"""In one step: with their events they are one operation of Redis."""
KEPT_SECONDS = 30 * 86_400
"""How long the stays of a job are kept on which nobody works any more."""
RETRY_SECONDS = 1.0
PLACE = "place"
GONE = b"null"


class Place(msgspec.Struct):
    """What the stays are of: a place in the layer's log, None if they are of none in particular; and how many events there were."""

    cursor: str | None = None
    events: int = 0
    attempt: int = 0
    """Of the worker that wrote this."""


class StayStore:
    """The stays of one job."""

    def __init__(self, job: str, attempt: int, audience: Audience) -> None:
        self._feed = Feed(f"geofence:{job}", FeedOptions(log_length=1))
        self._job, self._attempt, self._audience = job, attempt, audience
        self.place = Place()
        self.stays: list[Stay] = []

    async def load(self) -> None:
        """Read what is there, and publish events that were not yet. Waits for Redis."""
        state = await _patiently(lambda: asyncio.to_thread(self._feed.read_sync))
        stored = {key.decode(): value[13:] for key, value in state.stored.items() if value[13:] != GONE}
        if PLACE in stored:
            self.place = msgspec.json.decode(stored[PLACE], type=Place)
        self.stays = [msgspec.json.decode(value, type=Stay) for key, value in stored.items() if key.startswith("stay:")]
        waiting = sorted(key for key in stored if key.startswith("event:"))
        await self._publish({key: msgspec.json.decode(stored[key]) for key in waiting})
        await self._remove(waiting)
        await self.commit(self.place.cursor, (), ())
        await _patiently(self._keep)

    async def commit(self, cursor: str | None, crossings: Sequence[Crossing], events: Iterable[Any]) -> None:
        """Store crossings, of which there are no more than `MOST_CROSSINGS`, with the place they are of; then publish their events.

        `JobFailed` if another worker goes on with the job, because this one could not be reached.
        """
        await self._check_owner()
        waiting: dict[str, Any] = {}
        for event in events:
            self.place.events += 1
            waiting[f"event:{self.place.events:012}"] = event
        self.place.cursor, self.place.attempt = cursor, self._attempt
        stays = {_key(each.stay): GONE if each.kind == "exit" else msgspec.json.encode(each.stay) for each in crossings}
        items = {**stays, **{key: msgspec.json.encode(event) for key, event in waiting.items()}, PLACE: msgspec.json.encode(self.place)}
        await _patiently(lambda: self._feed.put(items.items()))
        await self._publish(waiting)
        await self._remove([*(key for key, value in stays.items() if value == GONE), *waiting])

    async def _check_owner(self) -> None:
        stored = await _patiently(lambda: self._feed.get(PLACE))
        if stored is not None and msgspec.json.decode(stored, type=Place).attempt > self._attempt:
            raise JobFailed("another worker goes on with the job", retryable=True)

    async def drop(self) -> None:
        """Forget everything."""
        await asyncio.to_thread(self._feed.drop_sync)

    async def _publish(self, events: dict[str, Any]) -> None:
        for key, payload in events.items():
            try:
                await _patiently(lambda key=key, payload=payload: self._publish_one(key, payload))
            except StreamError as error:
                logger.error("an event of the geofence %s cannot be published: %s", self._job, error)

    async def _publish_one(self, key: str, payload: Any) -> None:
        await apublish_event("custom", payload, f"geofence:{self._job}:{key}", audience=self._audience)

    async def _remove(self, keys: Sequence[str]) -> None:
        if keys:
            await _patiently(lambda: self._feed.delete(keys))

    async def _keep(self) -> None:
        with refusing():
            for key in self._feed.keys:
                await async_feed_redis().expire(key, KEPT_SECONDS)


def _key(stay: Stay) -> str:
    return f"stay:{msgspec.json.encode((stay.feature, stay.area)).decode()}"


async def _patiently(operation: Any) -> Any:
    """What an operation returns; tried again while Redis is away. Each may be done twice."""
    while True:
        try:
            return await operation()
        except StreamError as error:
            if not error.kind.retry:
                raise
            await asyncio.sleep(RETRY_SECONDS)
