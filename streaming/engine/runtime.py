"""The runtime: what one server process runs. The hub, the lease of the process, its connections, and the services of the installed apps."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from channels.layers import get_channel_layer

from streaming.core.hub import Hub
from streaming.core.leases import Leases
from streaming.core.tasks import TaskSet

from .catalogue import Catalogue
from .conf import conf
from .connections import ConnectionRegistry
from .registry import all_services
from .service import Service

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
ACCESS_CHANGED = "access.changed"
"""The control message on which every process finds out anew what users may read."""

S = TypeVar("S", bound=Service)


class Runtime:
    """One server process. It names no dialect, no topic and no tile: they are services, or sessions of connections."""

    def __init__(self) -> None:
        self.hub = Hub(get_channel_layer)
        self.leases = Leases(self.hub.node, conf.NODE_TTL_SECONDS)
        self.connections = ConnectionRegistry(self.hub.node)
        self._services: dict[type[Service], Service] = {}  # in the order in which they start
        self._being_made: list[type[Service]] = []
        self._catalogues: list[Catalogue[Any]] = []
        self._seen: list[Any] | None = None
        self._tasks = TaskSet()
        self._started = AsyncExitStack()
        self._running = False

    # -- services ------------------------------------------------------------

    def service(self, kind: type[S]) -> S:
        """The one instance of a service in this process, made now if nobody has asked before."""
        found = self._services.get(kind)
        if found is None:
            if kind in self._being_made:
                raise RuntimeError(f"services need each other in a circle: {[each.__name__ for each in self._being_made]}")
            self._being_made.append(kind)
            try:
                found = kind(self)
            finally:
                self._being_made.remove(kind)
            self._services[kind] = found  # after those that it asked for
            if self._running:
                self._started.push_async_callback(self._stop_service, found)
                self.spawn(self._start_late(found))
        assert isinstance(found, kind)
        return found

    @property
    def services(self) -> list[Service]:
        """The services that have been made so far."""
        return list(self._services.values())

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run something in the background, until the process stops at the latest."""
        self._tasks.spawn(work)

    # -- life ----------------------------------------------------------------

    async def start(self) -> None:
        """Start the hub, the jobs and the services. If one of them fails, what was started before is stopped again."""
        try:
            self._started.push_async_callback(self.hub.stop)
            await self.hub.start()
            await self.leases.renew()
            self._started.push_async_callback(self.leases.release)
            self._schedule_jobs()
            self._started.push_async_callback(self._stop_tasks)
            for kind in all_services():
                self.service(kind)
            await self._start_services()
            self._running = True
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop everything in the reverse order; connections have been closed by the server."""
        self._running = False
        await self._started.aclose()

    def ending(self) -> None:
        """The server takes no more requests, and waits a moment for those that it has."""
        for service in self.services:
            service.ending()

    def _schedule_jobs(self) -> None:
        for seconds, job in self.leases.jobs:
            self.hub.every(seconds, job)
        self.hub.every(TICK_SECONDS, self.connections.tick)
        self.hub.every(max(conf.AUTH_CACHE_SECONDS, TICK_SECONDS), self.review_access)
        self.hub.on("connection.close", lambda message: self.connections.disconnect(message["connection"]))
        self.hub.on(ACCESS_CHANGED, lambda message: self.access_changed())

    async def _start_services(self) -> None:
        started = 0
        while started < len(self._services):  # one that starts may ask for another one
            service = self.services[started]
            started += 1
            self._started.push_async_callback(self._stop_service, service)
            await service.start()

    async def _start_late(self, service: Service) -> None:
        try:
            await service.start()
        except Exception:
            logger.exception("%s did not start", type(service).__name__)

    async def _stop_service(self, service: Service) -> None:
        try:
            await service.stop()
        except Exception:
            logger.exception("%s did not stop well", type(service).__name__)

    async def _stop_tasks(self) -> None:
        self._tasks.cancel()
        await self._tasks.wait(1.0)

    # -- what may be read ----------------------------------------------------

    def watch(self, catalogue: Catalogue[Any]) -> None:
        """Compare its rows regularly, in case a notice is lost: nobody goes on reading what is not public any more."""
        self._catalogues.append(catalogue)

    def access_changed(self) -> None:
        """Layers, tilesets or permissions have changed: forget what was known of them, and have every client find out anew."""
        for catalogue in self._catalogues:
            catalogue.clear()
        for service in self.services:
            service.access_changed()
        self.spawn(self.connections.access_changed())

    async def review_access(self) -> None:
        """Notice changed rows also where the notice was lost, while there is somebody who may read them."""
        rows = [await catalogue.all() for catalogue in self._catalogues] if self.connections.open else None
        if rows is not None and rows != self._seen:
            self.access_changed()
        self._seen = rows
