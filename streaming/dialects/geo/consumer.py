"""The endpoint `/ws`."""

from __future__ import annotations

from typing import ClassVar

from streaming.engine.session import Session
from streaming.engine.websocket import WebSocketConnection

from .session import GeoSession


class GeoConnection(WebSocketConnection):
    """A WebSocket that speaks the geo protocol."""

    session_class: ClassVar[type[Session]] = GeoSession
