"""The endpoint `/ws`."""

from __future__ import annotations

from streaming.engine.websocket import WebSocketConnection

from .session import GeoSession


class GeoConnection(WebSocketConnection):
    """A WebSocket that speaks the geo protocol."""

    session_class = GeoSession
