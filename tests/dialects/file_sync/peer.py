"""A client of file sync that is connected to the engine in this process. Everything it is sent, a strict peer reads as well."""

from __future__ import annotations

import gzip
import json
from typing import Any, Self

from tests.asyncapi.documented import check_documented
from tests.dialects.asgi_peer import AsgiPeer
from tests.files import strict_peer


class FilePeer(AsgiPeer):
    """`ask` sends a message and returns the answer; `receive` is the next message."""

    def __init__(self, token: str = "", query: str = "") -> None:
        headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
        super().__init__("/ws/files", query, headers)

    async def connect(self) -> Self:
        return await super().connect()

    async def send(self, **message: Any) -> None:
        await self.send_text(json.dumps(message))

    async def receive(self) -> Any:
        frame = await self.receive_frame()
        text = gzip.decompress(frame).decode() if isinstance(frame, bytes) else frame
        strict_peer.decode(text)
        message = json.loads(text)
        check_documented("files", "server", message)
        return message

    async def ask(self, **message: Any) -> Any:
        await self.send(**message)
        return await self.receive()

    async def subscribe(self, client_id: str, **more: Any) -> Any:
        answer = await self.ask(type="Subscribe", client_id=client_id, **more)
        assert answer["type"] == "Ack", answer
        return answer

    async def nothing(self) -> bool:
        """Whether nothing was sent: the answer to a Ping comes next."""
        return bool(await self.ask(type="Ping") == {"type": "Pong"})
