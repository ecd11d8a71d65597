"""The topics of processes: `job:<id>`, the state of a job, and `processes`, what is offered."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from processes.catalogue import Offer
from processes.http.identity import sees
from processes.http.processes import summary
from processes.http.site import Site
from processes.http.status_info import status_info
from processes.jobs.changes import JobChange
from processes.live.service import LiveJobs
from streaming.topics import Channel, Refused, topic

UNKNOWN = "unknown_job"


class JobChannel(Channel):
    """One job. The reply to a join is its state (statusInfo), and so is each event `status`, at every change.

    Who may see the job may join: nobody else learns whether it is there.
    """

    notices_gaps = False
    slow: ClassVar[Any] = {"status": "latest"}
    _state: JobChange | None = None
    _entered = False

    async def join(self, params: dict[str, Any]) -> dict[str, Any]:
        """The state of the job."""
        try:
            self._job = str(uuid.UUID(self.subtopic))
        except ValueError:
            raise Refused(UNKNOWN) from None
        self._site = Site.here_without_request()
        live = self._live
        live.follow(self._job, self)
        try:
            found = await live.find(self._job)
            if found is None or not sees(self.connection.principal, found):
                raise Refused(UNKNOWN)
        except BaseException:
            live.unfollow(self._job, self)
            raise
        if self._state is None or self._state.revision < found.revision:
            self._state = found
        self._entered = True
        return status_info(self._state, self._site)  # nothing awaits until the client has it

    def job_changed(self, change: JobChange) -> None:
        """Push a state that is newer."""
        if self._state is not None and change.revision <= self._state.revision:
            return
        self._state = change
        if self._entered:
            self.push("status", status_info(change, self._site))

    async def leave(self) -> None:
        """Follow it no more."""
        self._live.unfollow(self._job, self)

    def refresh(self) -> None:
        """A user who is not of the staff any more sees only own jobs."""
        if self._state is not None and not sees(self.connection.principal, self._state):
            session: Any = self.connection.session
            self.topics.spawn(session.end(self.member, "phx_error", {"reason": "unauthorized"}))

    def describe(self) -> dict[str, Any]:
        """For the admin."""
        return {"kind": "job", "feed": self.topic, "filter": {}}

    @property
    def _live(self) -> LiveJobs:
        return self.topics.runtime.service(LiveJobs)


class ProcessesChannel(Channel):
    """What is offered. The reply to a join has the `processes`; `changed` one that came or changed, `removed` the id of one that went."""

    notices_gaps = False

    async def join(self, params: dict[str, Any]) -> dict[str, Any]:
        """The list."""
        live = self.topics.runtime.service(LiveJobs)
        self._site = Site.here_without_request()
        await live.offers()
        live.follow_offers(self)
        return {"processes": [summary(each, self._site) for each in live.listed]}  # nothing awaits until the client has it

    def offers_changed(self, changes: Mapping[str, Offer | None]) -> None:
        """Push the differences."""
        for name, offer in changes.items():
            if offer is None:
                self.push("removed", {"id": name})
            else:
                self.push("changed", summary(offer, self._site))

    async def leave(self) -> None:
        """Follow it no more."""
        self.topics.runtime.service(LiveJobs).unfollow_offers(self)

    def describe(self) -> dict[str, Any]:
        """For the admin."""
        return {"kind": "processes", "feed": self.topic, "filter": {}}


topicpatterns = [topic("job:*", JobChannel), topic("processes", ProcessesChannel)]
