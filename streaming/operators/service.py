"""The service of operators in one process: announces joins and leaves, reports statistics, records measures, and carries out commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streaming.engine.service import Service
from streaming.topics.service import Topics

from .client_picture import ClientPictures
from .commands import kick
from .measure_recorder import MeasureRecorder
from .monitor import Monitor
from .presence_announcer import PresenceAnnouncer

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime


class Operators(Service):
    """The operators' side of one process."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.topics = runtime.service(Topics)
        self.announcer = PresenceAnnouncer(self.topics)
        self.monitor = Monitor(self.topics)
        self.pictures = ClientPictures(runtime)
        self.recorder = MeasureRecorder(self.topics)

    async def start(self) -> None:
        """Report from now on, and carry out commands."""
        self.runtime.hub.on("topics.kick", lambda message: kick(self.topics, message["agent"]))
        self.monitor.start()
        self.pictures.start()
        self.recorder.start()

    async def stop(self) -> None:
        """Say that this process ends."""
        await self.recorder.stop()
