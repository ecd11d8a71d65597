"""The endpoint `/ws`."""

from __future__ import annotations

from streaming.engine.connection import Connection

from .session import GeoSession


class GeoConnection(Connection):
    """A WebSocket that speaks the geo protocol."""

    session_class = GeoSession
