"""Follows the announcements of a server on its WebSocket, across broken connections, without missing any."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection, connect

from streaming.files.paths import PathError, clean_path

from .errors import SyncError, Unreachable
from .plan import Content
from .remote import content_of
from .state import State

logger = logging.getLogger(__name__)

PING_SECONDS = 30.0
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
STEADY_SECONDS = 30.0
"""After a connection that lived so long the next one is made soon."""
OPEN_SECONDS = 15.0
_FINAL = {4400, 4401, 4403, 4404, 4409}
"""Close codes after which to connect again would not help."""


@dataclass(frozen=True, slots=True)
class Announced:
    """A path on the server has this content now; None: it is gone."""

    path: str
    content: Content | None


class _Connect(connect):
    """Goes nowhere else, whatever the server says."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Refuse."""
        return exc


class Announcements:
    """One client's subscription. What was announced is given to `on_change`; `on_resync` says that everything has to be listed again."""

    def __init__(
        self,
        url: str,
        client_id: str,
        state: State,
        token: str,
        on_change: Callable[[list[Announced]], None],
        on_resync: Callable[[], None],
    ) -> None:
        self._url, self._client_id, self._state = url, client_id, state
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._on_change, self._on_resync = on_change, on_resync
        self.connected = asyncio.Event()

    def agreed(self, seq: int, epoch: str) -> None:
        """Everything up to this number is known."""
        self._state.set("seq", str(seq))
        self._state.set("epoch", epoch)

    async def follow(self) -> None:
        """For ever. `SyncError` if the server will not have this client."""
        wait = FIRST_WAIT
        while True:
            began = time.monotonic()
            try:
                async with _Connect(self._url, additional_headers=self._headers, open_timeout=OPEN_SECONDS, max_size=1 << 22) as socket:
                    await self._subscribe(socket)
                    await self._read(socket)
            except websockets.InvalidStatus as error:
                if error.response.status_code in (401, 403, 404):
                    raise SyncError(f"{self._url} refuses the connection with {error.response.status_code}") from error
            except websockets.ConnectionClosed as error:
                if error.rcvd is not None and error.rcvd.code in _FINAL:
                    raise SyncError(f"the server has closed the connection: {error.rcvd.reason or error.rcvd.code}") from error
            except (OSError, TimeoutError, Unreachable, websockets.WebSocketException) as error:
                logger.debug("%s: %s", self._url, error)  # such as an answer that is none
            finally:
                self.connected.clear()
            if time.monotonic() - began > STEADY_SECONDS:
                wait = FIRST_WAIT
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(wait * 2, LONGEST_WAIT)

    async def _subscribe(self, socket: ClientConnection) -> None:
        message: dict[str, Any] = {"type": "Subscribe", "client_id": self._client_id, "features": ["seq", "epoch"]}
        seq, epoch = self._state.get("seq"), self._state.get("epoch")
        if seq.isdigit():
            message |= {"since": int(seq), "epoch": epoch}
        await socket.send(json.dumps(message))
        async with asyncio.timeout(OPEN_SECONDS):
            while (answer := _decoded(await socket.recv())).get("type") not in ("Ack", "Error"):
                self._handle(answer)
        if answer["type"] == "Error":
            raise SyncError(f"the server refuses: {answer.get('message')}")
        if answer.get("resync") or not seq or answer.get("epoch") != epoch:
            self._on_resync()
        self.connected.set()

    async def _read(self, socket: ClientConnection) -> None:
        pinging = asyncio.create_task(self._ping(socket))
        try:
            async for frame in socket:
                self._handle(_decoded(frame))
        finally:
            pinging.cancel()
            with suppress(asyncio.CancelledError):
                await pinging

    async def _ping(self, socket: ClientConnection) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            with suppress(websockets.ConnectionClosed):
                await socket.send('{"type":"Ping"}')

    def _handle(self, message: dict[str, Any]) -> None:
        if message.get("type") != "FileOperation":
            return
        changes = announced(message.get("operation"), message.get("metadata"))
        if changes is None:
            self._on_resync()  # what it does not understand, it looks at
        else:
            self._on_change(changes)
        if type(message.get("seq")) is int and message["seq"] >= 0:
            self._state.set("seq", str(message["seq"]))


def announced(operation: Any, metadata: Any = None) -> list[Announced] | None:
    """What an operation says; None if it cannot be read. Paths that break a rule are as if nobody had mentioned them."""
    if not isinstance(operation, dict) or len(operation) != 1:
        return None
    ((kind, body),) = operation.items()
    if not isinstance(body, dict):
        return None
    if kind in ("Create", "Update"):
        found = content_of(body.get("metadata"))
        return [Announced(*found)] if found else []
    if kind == "Delete":
        metadata = body.get("metadata")
        path = body.get("path") or (metadata.get("path") if isinstance(metadata, dict) else None)
        return [Announced(str(path), None)] if _is_clean(path) else []
    if kind == "Move":
        source, target = body.get("from"), body.get("to")
        gone = [Announced(str(source), None)] if _is_clean(source) else []
        found = content_of({**metadata, "path": target}) if isinstance(metadata, dict) else None
        return None if found is None and _is_clean(target) else [*gone, *([Announced(*found)] if found else [])]
    return None


def _is_clean(path: Any) -> bool:
    try:
        return bool(clean_path(path) == path)
    except PathError:
        return False


def _decoded(frame: str | bytes) -> dict[str, Any]:
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}
