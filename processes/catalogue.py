"""The processes that are offered, as one server process knows them: in memory, read from the database when somebody asks.

A worker that comes or goes rings for all server processes (`processes.offers`); who misses that finds out a few seconds later.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Count
from django.utils import timezone

from processes.jobs.service import Jobs
from processes.models import Process
from streaming.core.errors import StreamError
from streaming.engine.conf import conf
from streaming.engine.service import Service

from .descriptions import DescriptionError, ProcessDescription

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

logger = logging.getLogger(__name__)

OFFERS_CHANGED = "processes.offers"
"""The control message that a process came, went, or has changed."""
READ_SECONDS = 5.0
"""How long what was read is believed without a doorbell."""
ASKED_SECONDS = 60.0
"""How long after the last question it is still read again and again."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A process in its listed version."""

    pk: int
    identifier: str
    version: str
    description: ProcessDescription
    online: int
    """Workers that offer it now."""
    offline_since: datetime | None
    """Since when there is none."""
    continuous: bool
    queue_seconds: float
    run_seconds: float | None
    """None: as long as it takes."""
    pinned: bool
    retry: str


Observer = Callable[[], None]


class ProcessCatalogue(Service):
    """What is offered. Offers are compared by what they say, so that an observer is called only for a difference."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._jobs = runtime.service(Jobs)
        self._offers: dict[str, Offer] = {}
        self._listed: list[Offer] = []  # as observers know them
        self._descriptions: dict[int, tuple[str, ProcessDescription]] = {}
        self._read_at = 0.0
        self._asked_at = 0.0
        self._stale = True
        self._reading: asyncio.Task[None] | None = None
        self._observers: list[Observer] = []
        runtime.hub.on(OFFERS_CHANGED, lambda message: self._rung())

    async def start(self) -> None:
        """Look again and again, while somebody asks or observes."""
        self._jobs.every(READ_SECONDS, self._look)

    async def all(self) -> list[Offer]:
        """The processes that are listed, by identifier."""
        await self._refresh()
        return [each for _, each in sorted(self._offers.items()) if self._is_listed(each)]

    async def get(self, identifier: str) -> Offer | None:
        """A listed process."""
        await self._refresh()
        offer = self._offers.get(identifier)
        return offer if offer is not None and self._is_listed(offer) else None

    def observe(self, observer: Observer) -> None:
        """Call `observer` whenever what is offered has changed. It must be quick."""
        self._observers.append(observer)

    async def announce(self) -> None:
        """Have all server processes notice that something has changed."""
        self._stale = True
        try:
            await self.runtime.hub.control(OFFERS_CHANGED)
        except StreamError as error:
            logger.warning("other processes notice a little later which processes there are: %s", error)

    def _is_listed(self, offer: Offer) -> bool:
        if offer.online or offer.pinned:
            return True
        return offer.offline_since is not None and timezone.now() - offer.offline_since < timedelta(seconds=conf.PROCESS_OFFLINE_SECONDS)

    def _rung(self) -> None:
        self._stale = True
        if self._observers:
            self.runtime.spawn(self._refresh(asked=False))

    async def _look(self) -> None:
        if self._observers or time.monotonic() - self._asked_at < ASKED_SECONDS:
            await self._refresh(asked=False)

    async def _refresh(self, asked: bool = True) -> None:
        now = time.monotonic()
        if asked:
            self._asked_at = now
        while self._stale or self._reading is not None or now - self._read_at >= READ_SECONDS:  # what is being read may be what has changed
            if self._reading is None:
                self._reading = asyncio.create_task(self._read())
            reading = self._reading
            await asyncio.shield(reading)
            now = time.monotonic()

    async def _read(self) -> None:
        try:
            self._stale = False
            try:
                rows = await self._jobs.read(_current_processes)
            except BaseException:
                self._stale = True
                raise
            self._read_at = time.monotonic()
            self._offers = {each.identifier: each for row in rows if (each := self._offer(row)) is not None}
            self._descriptions = {each.pk: self._descriptions[each.pk] for each in self._offers.values()}
            listed = [replace(each, offline_since=None) for each in self._offers.values() if self._is_listed(each)]
            if listed != self._listed:
                self._listed = listed
                self._notify()
        finally:
            self._reading = None

    def _offer(self, row: Any) -> Offer | None:
        digest, description = self._descriptions.get(row.pk, ("", None))
        if description is None or digest != row.digest:
            try:
                description = ProcessDescription.parse(row.description)
            except DescriptionError as error:
                logger.error("the description of %s in the database cannot be read: %s", row, error)
                return None
            self._descriptions[row.pk] = (row.digest, description)
        return Offer(
            pk=row.pk,
            identifier=row.identifier,
            version=row.version,
            description=description,
            online=row.online,
            offline_since=None if row.online else row.last_online or row.created,
            continuous=row.continuous,
            queue_seconds=row.queue_seconds or conf.PROCESS_QUEUE_SECONDS,
            run_seconds=None if row.continuous else row.run_seconds or conf.PROCESS_RUN_SECONDS,
            pinned=row.pinned,
            retry=row.retry,
        )

    def _notify(self) -> None:
        for observer in self._observers:
            try:
                observer()
            except Exception:
                logger.exception("a change of what is offered could not be passed on")


def _current_processes() -> list[Process]:
    return list(Process.objects.filter(current=True).annotate(online=Count("registrations")))
