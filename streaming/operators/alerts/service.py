"""The service of alerts: of all processes one leader judges the rules; every one sends what is in the outbox of webhooks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from channels.db import database_sync_to_async
from django.db import DatabaseError

from streaming.core.errors import StreamError
from streaming.core.keys import COMMON
from streaming.core.leader import Leader
from streaming.engine.conf import conf
from streaming.engine.measures import Sample
from streaming.engine.metrics import MetricsService
from streaming.engine.outgoing.outbox import Outbox
from streaming.engine.outgoing.sender import OutboxSender
from streaming.engine.service import Service
from streaming.features.event_audience import STAFF, Audience
from streaming.features.server_events import server_events
from streaming.models import AlertDelivery
from streaming.operators.measure_recorder import MONITOR
from streaming.operators.presence_announcer import ADMIN
from streaming.topics.service import Topics

from .judge import Judge
from .pushing import EVENT
from .readings import Readings, places
from .store import keep, load, prune
from .webhooks import limits, prepare

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

logger = logging.getLogger(__name__)

LEADER_KEY = COMMON + "alerts:leader"
PRUNE_SECONDS = 3600.0

T = TypeVar("T")


class Alerts(Service):
    """The alerts of one process."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._topics = runtime.service(Topics)
        self._exposition = runtime.service(MetricsService).exposition
        self._sender = OutboxSender(Outbox(AlertDelivery), in_database, prepare, limits)
        self.leader = Leader(LEADER_KEY, runtime.hub.node, "judges alert rules", able=lambda: True, on_lead=self._leads)
        self._readings = Readings()
        self._judge: Judge | None = None
        self._looking = asyncio.Lock()
        self._pruned_at = float("-inf")
        self._ended = False

    async def start(self) -> None:
        """Judge the rules while this is the leader, and send; unless `GEOSTREAM_ALERT_SECONDS` is 0."""
        if conf.ALERT_SECONDS:
            self.leader.start()
            self._sender.start()
            self.runtime.hub.every(conf.ALERT_SECONDS, self._look_if_leading)

    async def stop(self) -> None:
        """Leave it to others."""
        await self.leader.stop()
        await self._sender.stop()
        async with self._looking:
            self._ended = True
        if self.leader.leading:
            await self.leader.resign()

    def collect(self) -> Iterable[Sample]:
        """What fires, as the leader knows it, and what became of requests here."""
        yield "geostream_alerts_firing", (), len(self._judge.firing) if self._judge is not None and self.leader.leading else 0
        for outcome, count in self._sender.counts.items():
            yield "geostream_alert_webhooks_total", (outcome,), count

    async def look(self) -> None:
        """Judge the rules once, and tell what has changed. Without the database or Redis nothing is judged."""
        try:
            await self._judge_rules()
        except (DatabaseError, StreamError, TimeoutError) as error:
            self._judge = None  # what fires is read again
            logger.warning("alert rules are not judged for a moment: %s", error)

    async def _look_if_leading(self) -> None:
        async with self._looking:
            if self.leader.leading and not self._ended:
                await self.look()

    async def _judge_rules(self) -> None:
        known = await in_database(load)
        if self._judge is None:
            self._judge = Judge(known.firing)
        processes = await self._exposition.processes()
        now = time.monotonic()
        changes = self._judge.look(known.rules, self._readings.look(processes, known.rules, now), now)
        if changes or known.untold:
            self._tell(await in_database(partial(keep, changes, places(processes))))
        if now - self._pruned_at > PRUNE_SECONDS:
            self._pruned_at = now
            await in_database(partial(prune, conf.ALERT_HISTORY_DAYS))

    def _tell(self, told: Iterable[Mapping[str, Any]]) -> None:
        for alert in told:
            logger.warning("alert %s: %s", alert["state"], alert["message"])
            for topic in (ADMIN, MONITOR):
                self._topics.bridge.announce(topic, EVENT, alert)
            once = f"alert:{alert['id']}:{alert['state']}"
            server_events.emit(EVENT, f"alert:{alert['rule']}", dict(alert), Audience((STAFF,)), once, alert["state"] == "resolved")
        self._sender.ring()

    def _leads(self, began: bool) -> None:
        if began:
            self._judge, self._readings = None, Readings()


async def in_database(operation: Callable[[], T]) -> T:
    """Does an operation in the thread of the database."""
    result: T = await database_sync_to_async(operation)()
    return result
