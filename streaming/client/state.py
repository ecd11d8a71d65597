"""The states of a client's connection."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum


class ConnectionState(Enum):
    """`IDLE` before `connect`; `CLOSED` is final."""

    IDLE = "idle"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"


StateCallback = Callable[[ConnectionState, BaseException | None], None]
"""Gets the new state and, if something went wrong, what."""
