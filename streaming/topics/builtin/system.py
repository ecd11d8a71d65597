"""The topic `system`: bridged like any open one; its members also receive the time each second."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import msgspec

from ..messages import TopicMessage
from ..rooms import Rooms, SlowPolicy
from .open import OpenChannel


class SystemChannel(OpenChannel):
    """General information."""

    slow: ClassVar[dict[str, SlowPolicy]] = {"datetime": "latest"}


class Clock:
    """Sends the time to the members of this process."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._counter = 0

    async def tick(self) -> None:
        """Once a second."""
        self._counter += 1
        if self._rooms.get("system") is not None:
            now = datetime.now().astimezone().isoformat(timespec="milliseconds")
            payload = {"status": "ok", "response": {"datetime": now, "counter": self._counter}}
            self._rooms.deliver([TopicMessage("system", "datetime", msgspec.json.encode(payload))])
