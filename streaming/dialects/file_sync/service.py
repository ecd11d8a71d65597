"""What all file sync clients of a process share: who has subscribed, and what was counted."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from streaming.core.errors import StreamError
from streaming.engine.measures import Sample
from streaming.engine.service import Service
from streaming.files.clients import RENEW_SECONDS, release, renew
from streaming.files.service import FilesService

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

logger = logging.getLogger(__name__)

SUBSCRIBED = "files.subscribed"
"""The control message between processes that a client has subscribed."""


class Subscriber(Protocol):
    """One client that has subscribed, as the service sees it."""

    client_id: str
    user: str
    number: int

    @property
    def position(self) -> int:
        """The number of the last change that it was sent."""

    @property
    def since(self) -> datetime:
        """When it subscribed."""

    @property
    def address(self) -> str:
        """Where it is."""

    @property
    def username(self) -> str:
        """Who it is."""

    def be_replaced(self) -> None:
        """The same client has connected anew."""


class FileSyncService(Service):
    """The file sync clients of one process."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.files = runtime.service(FilesService)
        self.counts: Counter[str] = Counter()
        """replayed, resync (clients), changes (replayed), stale, errors."""
        self._subscribers: dict[str, Subscriber] = {}
        self._stopped = False

    async def start(self) -> None:
        """Notice clients that subscribe elsewhere, and renew what those of this process hold."""
        self.runtime.hub.on(SUBSCRIBED, self._subscribed_elsewhere)
        self.runtime.hub.every(RENEW_SECONDS, self._renew)

    async def stop(self) -> None:
        """The ids of those that are still there are free a little later."""
        self._stopped = True

    def collect(self) -> Iterable[Sample]:
        """What was counted."""
        yield "geostream_files_subscribers", (), len(self._subscribers)
        for outcome in ("replayed", "resync"):
            yield "geostream_files_replays_total", (outcome,), self.counts[outcome]
        yield "geostream_files_replayed_total", (), self.counts["changes"]
        yield "geostream_files_stale_total", (), self.counts["stale"]
        yield "geostream_files_errors_total", (), self.counts["errors"]

    async def add(self, subscriber: Subscriber) -> None:
        """A client has subscribed: whoever had its id before is replaced, in this process now, in the others soon."""
        before = self._subscribers.get(subscriber.client_id)
        self._subscribers[subscriber.client_id] = subscriber
        if before is not None and before is not subscriber:
            before.be_replaced()
        self._note(subscriber, connected=True)
        await self.runtime.hub.control(SUBSCRIBED, client=subscriber.client_id, number=subscriber.number)

    def remove(self, subscriber: Subscriber) -> None:
        """It is gone, or has another id from now on."""
        if self._subscribers.get(subscriber.client_id) is subscriber:
            del self._subscribers[subscriber.client_id]
            self._note(subscriber, connected=False)
            if not self._stopped:
                self.runtime.spawn(self._release(subscriber.client_id, subscriber.user, subscriber.number))

    def _subscribed_elsewhere(self, message: dict[str, Any]) -> None:
        subscriber = self._subscribers.get(message["client"])
        if subscriber is not None and subscriber.number < message["number"]:
            del self._subscribers[message["client"]]
            subscriber.be_replaced()

    async def _renew(self) -> None:
        for each in list(self._subscribers.values()):
            await renew(each.client_id, each.user, each.number)
            self._note(each, connected=True)

    async def _release(self, client_id: str, user: str, number: int) -> None:
        try:
            await release(client_id, user, number)
        except StreamError as error:
            logger.debug("the id %s is free a little later: %s", client_id, error)

    def _note(self, subscriber: Subscriber, connected: bool) -> None:
        if self.files.audit is not None:
            who = subscriber.client_id, subscriber.username, subscriber.address
            self.files.audit.note_client(*who, subscriber.since, subscriber.position, connected)
