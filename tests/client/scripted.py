"""A real WebSocket server whose every message a test decides: the other end of the client."""

from __future__ import annotations

import asyncio
import itertools
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Response

from streaming.dialects.geo.codec import Encoding, decode, encode, is_text, negotiate
from streaming.dialects.geo.messages import Ack, ChangeType, Event, EventType, FeatureData, Handshake, Message, TileData, TilesReady

M = TypeVar("M", bound=Message)


def feature(id: str | int, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "id": id, "geometry": {"type": "Point", "coordinates": [8.5, 47.4]}, "properties": properties}


def gone(id: str | int) -> dict[str, Any]:
    return {"type": "Feature", "id": id, "geometry": None, "properties": {}}


class Peer:
    """One connection, as the server sees it."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.encoding: Encoding | None = None
        self.frames: list[bytes | str] = []
        request = socket.request
        assert request is not None
        self.headers = request.headers

    async def handshake(self) -> Self:
        hello = await self.expect(Handshake)
        assert self.encoding is not None
        ack, encoding = negotiate(hello, self.encoding)
        await self.send(ack)
        self.encoding = encoding
        return self

    async def expect(self, kind: type[M]) -> M:
        frame = await self.socket.recv()
        self.frames.append(frame)
        data = frame.encode() if isinstance(frame, str) else frame
        message, encoding = decode(data, max_size=1 << 20, max_decompressed=1 << 20)
        self.encoding = self.encoding or encoding
        assert isinstance(message, kind), message
        return message

    async def send(self, message: Message) -> None:
        assert self.encoding is not None
        await self.socket.send(encode(message, self.encoding), text=is_text(self.encoding))

    async def ack(self, request_id: str, **members: Any) -> None:
        await self.send(Ack(request_id, True, None, **members))

    async def refuse(self, request_id: str, code: str) -> None:
        await self.send(Ack(request_id, False, f"no: {code}", code=code))

    async def data(self, id: str, kind: str, *features: dict[str, Any], cursor: str | None, layer: str = "flights", **members: Any) -> None:
        one = features[0] if len(features) == 1 else {"type": "FeatureCollection", "features": features}
        feature_id = features[0]["id"] if len(features) == 1 else None
        text = msgspec.json.encode(one).decode()
        members = {"reason": None, **members}
        await self.send(FeatureData(id, text, ChangeType(kind), layer=layer, id=feature_id, cursor=cursor, **members))

    async def event(self, id: str, payload: Any, cursor: str | None, gap: int | None = None) -> None:
        await self.send(Event(id, EventType.CUSTOM, payload, "2026-01-02T03:04:05.678Z", cursor=cursor, gap=gap))

    async def tile(self, id: str, place: tuple[int, int, int], data: Any, version: str, **members: Any) -> None:
        mime_type = members.pop("mime_type", "application/octet-stream")
        await self.send(TileData(id, place, data, mime_type, version=version, **{"tileset": "relief", **members}))

    async def ready(self, id: str) -> None:
        await self.send(TilesReady(id))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self.socket.close(code, reason)

    def break_off(self) -> None:
        """Cut the connection without a word."""
        self.socket.transport.abort()


class ScriptedServer:
    """Hands its connections to the test, in the order in which they came."""

    def __init__(self) -> None:
        self._peers: asyncio.Queue[Peer] = asyncio.Queue()
        self._server: Server | None = None
        self.statuses: list[int] = []
        self.files: dict[str, bytes] = {}
        """What is answered over HTTP, by path."""
        self.requests: list[Any] = []
        """What was asked for of these."""

    async def __aenter__(self) -> Self:
        self._server = await serve(self._handle, "127.0.0.1", 0, process_request=self._process, ping_interval=None)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        host, port = next(itertools.chain(self._server.sockets)).getsockname()
        return f"ws://{host}:{port}/ws"

    def _process(self, connection: ServerConnection, request: Any) -> Any:
        """Refuse as many connections as there are `statuses`, with them; answer what is no connection."""
        if request.path != "/ws":
            self.requests.append(request)
            file = self.files.get(request.path)
            return Response(404 if file is None else 200, "", Headers({"Content-Length": str(len(file or b""))}), file or b"")
        return connection.respond(self.statuses.pop(0), "no\n") if self.statuses else None

    async def _handle(self, socket: ServerConnection) -> None:
        await self._peers.put(Peer(socket))
        try:
            await socket.wait_closed()
        except ConnectionClosed:
            return

    async def connection(self) -> Peer:
        """The next connection, before its handshake."""
        return await self._peers.get()

    async def peer(self) -> Peer:
        """The next connection, after its handshake."""
        return await (await self.connection()).handshake()
