"""The WebSocket consumer of file sync."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from streaming.core.errors import CloseCode
from streaming.engine.auth import Principal, authenticate
from streaming.engine.conf import conf
from streaming.engine.session import Session
from streaming.engine.websocket import WebSocketConnection
from streaming.files.rights import PART

from .service import FileSyncService
from .session import FileSyncSession


class FileSyncConnection(WebSocketConnection):
    """A WebSocket that speaks file sync. Its clients send `Ping` now and then: one that is silent for too long is closed."""

    session_class: ClassVar[type[Session]] = FileSyncSession
    close_codes: ClassVar[Mapping[CloseCode, int]] = {CloseCode.IDLE: 4408, CloseCode.SLOW: 4413}

    @property
    def most_bytes(self) -> int:
        """Announcements are short; contents travel over HTTP."""
        return int(conf.FILES_FRAME_BYTES)

    async def authenticate(self) -> Principal:
        """Who asks; tokens may be limited to files."""
        return await authenticate(self.scope, PART)

    def _is_idle(self, now: float, loop_time: float) -> bool:
        stale: bool = now - self.received_at > conf.FILES_STALE_SECONDS
        if stale:
            self.runtime.service(FileSyncService).counts["stale"] += 1
        return stale
