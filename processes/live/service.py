"""The service that passes changes on: of jobs to events and to those who follow one, of what is offered to those who look at the list."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from django.db.models import Min

from processes.catalogue import Offer, ProcessCatalogue
from processes.jobs.changes import JobChange, change_of
from processes.jobs.service import Jobs
from processes.models import Job, Registration
from streaming.core.errors import StreamError
from streaming.engine.measures import Sample
from streaming.engine.service import Service
from streaming.features.events import EVENT_TYPES

from .job_events import job_events, process_events

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

logger = logging.getLogger(__name__)

POLL_SECONDS = 5.0
"""How often the database is asked about jobs that somebody follows, for a change may not have been announced."""


class JobFollower(Protocol):
    """Follows one job."""

    def job_changed(self, change: JobChange) -> None:
        """As it is now. May come again, and late."""


class OfferFollower(Protocol):
    """Follows what is offered."""

    def offers_changed(self, changes: Mapping[str, Offer | None]) -> None:
        """Processes by identifier that have come or changed; None for one that has gone."""


class LiveJobs(Service):
    """Who follows what in this process."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._jobs = runtime.service(Jobs)
        self._catalogue = runtime.service(ProcessCatalogue)
        self._followers: dict[str, set[JobFollower]] = {}
        self._offer_followers: set[OfferFollower] = set()
        self._offers: dict[str, Offer] | None = None
        self._looking = self._look_due = False
        self._jobs.observe(job_events.changed, own=True)
        self._jobs.observe(self._job_changed)
        self._catalogue.observe(self._offers_have_changed)

    async def start(self) -> None:
        """Ask the database now and then."""
        self._jobs.every(POLL_SECONDS, self._poll)

    def collect(self) -> Iterable[Sample]:
        """Events that were published."""
        for kind in EVENT_TYPES:
            yield "geostream_process_events_total", (kind,), process_events.published[kind]
            yield "geostream_process_events_dropped_total", (kind,), process_events.dropped[kind]

    # -- jobs ------------------------------------------------------------------

    def follow(self, job: str, follower: JobFollower) -> None:
        """Notify the follower of changes of a job."""
        self._followers.setdefault(job, set()).add(follower)

    def unfollow(self, job: str, follower: JobFollower) -> None:
        """Notify it no more."""
        followers = self._followers.get(job, set())
        followers.discard(follower)
        if not followers:
            self._followers.pop(job, None)

    async def find(self, job: str) -> JobChange | None:
        """A job as it is now."""
        found = await self._jobs.read(lambda: _states([job]))
        return found[0] if found else None

    def _job_changed(self, change: JobChange) -> None:
        for follower in list(self._followers.get(change.job, ())):
            follower.job_changed(change)

    async def _poll(self) -> None:
        if jobs := list(self._followers):
            for change in await self._jobs.read(lambda: _states(jobs)):
                self._job_changed(change)

    # -- what is offered -------------------------------------------------------

    async def offers(self) -> None:
        """Have `listed` known. What it is may change whenever something awaits."""
        if self._offers is None:
            await self._look()

    @property
    def listed(self) -> list[Offer]:
        """What is offered, as followers know it."""
        return list((self._offers or {}).values())

    def follow_offers(self, follower: OfferFollower) -> None:
        """Notify the follower of processes that come, change and go."""
        self._offer_followers.add(follower)

    def unfollow_offers(self, follower: OfferFollower) -> None:
        """Notify it no more."""
        self._offer_followers.discard(follower)

    def _offers_have_changed(self) -> None:
        self._look_due = True
        if not self._looking:
            self._looking = True
            self.runtime.spawn(self._look_again())

    async def _look_again(self) -> None:
        try:
            while self._look_due:
                self._look_due = False
                await self._look()
        except StreamError as error:
            logger.warning("what is offered is passed on a little later: %s", error)
        finally:
            self._looking = False

    async def _look(self) -> None:
        now = {each.identifier: each for each in await self._catalogue.all()}
        before, self._offers = self._offers, now
        if before is None:
            return
        changes: dict[str, Offer | None] = {name: offer for name, offer in now.items() if before.get(name) != offer}
        changes |= dict.fromkeys(before.keys() - now.keys())
        if changes:
            for follower in list(self._offer_followers):
                follower.offers_changed(changes)
            await self._publish({name: (before.get(name), now.get(name)) for name in changes})

    async def _publish(self, changes: Mapping[str, tuple[Offer | None, Offer | None]]) -> None:
        """An event for each process that has come, gone, or has another version: all server processes notice, and one publishes it."""
        since = await self._jobs.read(_online_since)
        for name, (before, now) in changes.items():
            offer = now or before
            assert offer is not None
            if before is not None and now is not None and before.version == now.version:
                continue  # workers have come or gone
            kind = "process_removed" if now is None else "process_added" if before is None else "process_changed"
            words = {"process_removed": "is not offered any more", "process_added": "is offered", "process_changed": "has another version"}
            title = offer.description.data.get("title") or name
            payload = {"event": kind, "process": name, "version": offer.version, "title": title, "message": f"{title} {words[kind]}"}
            moment = offer.offline_since if now is None else since.get(offer.pk)
            process_events.emit("custom", f"process:{name}", payload, once=f"{kind}:{name}:{offer.version}:{moment}")


def _states(jobs: Iterable[str]) -> list[JobChange]:
    return [change_of(job) for job in Job.objects.filter(pk__in=[uuid.UUID(job) for job in jobs])]


def _online_since() -> dict[int, Any]:
    return dict(Registration.objects.values_list("process").annotate(Min("since")))
