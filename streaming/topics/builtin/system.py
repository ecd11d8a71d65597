"""The topic `system`: bridged like any open one, and the time each second for whoever listens."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import msgspec

from ..messages import Message
from ..rooms import Policy, Rooms
from .open import OpenChannel


class SystemChannel(OpenChannel):
    """General information."""

    slow: ClassVar[dict[str, Policy]] = {"datetime": "latest"}


class Clock:
    """Says the time to the members of this process."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._counter = 0

    async def tick(self) -> None:
        """Once a second."""
        self._counter += 1
        if (room := self._rooms.get("system")) is not None:
            now = datetime.now().astimezone().isoformat(timespec="milliseconds")
            payload = {"status": "ok", "response": {"datetime": now, "counter": self._counter}}
            room.deliver([Message("system", "datetime", msgspec.json.encode(payload))])
