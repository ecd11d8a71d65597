"""A client of the Redis commands over an in-process ASGI connection."""

from __future__ import annotations

import json
from typing import Any

from tests.asyncapi.documented import check_documented
from tests.dialects.asgi_peer import AsgiPeer

OPEN = {"status": "open"}


class RedisPeer(AsgiPeer):
    """`ask` commands; the answer is all that comes before they are carried out."""

    def __init__(self, token: str = "") -> None:
        super().__init__("/ws/redis", headers=[(b"authorization", f"Bearer {token}".encode())] if token else [])

    async def opened(self) -> RedisPeer:
        """Connect; the greeting has come."""
        await self.connect()
        assert (await self.receive())["content"] == OPEN
        return self

    async def receive(self) -> dict[str, Any]:
        frame = await self.receive_frame()
        assert isinstance(frame, str)
        envelope: dict[str, Any] = json.loads(frame)
        check_documented("redis", "server", envelope)
        assert list(envelope) == ["source", "content", "timestamp", "client_reference"]
        return envelope

    async def ask(self, *commands: str | bytes) -> list[dict[str, Any]]:
        """All that has come by the time that they are carried out."""
        for command in commands:
            if isinstance(command, bytes):
                await self.send_bytes(command)
            else:
                await self.send_text(command)
        await self.send_text("PING")
        frames = []
        while (frame := await self.receive())["content"] != "PONG":
            frames.append(frame)
        return frames

    async def contents(self, *commands: str | bytes) -> list[Any]:
        return [frame["content"] for frame in await self.ask(*commands)]

    async def errors(self, *commands: str | bytes) -> list[tuple[str, str | None]]:
        """Code and reference of each refusal; there is nothing else."""
        frames = await self.ask(*commands)
        assert {frame["content"]["status"] for frame in frames} <= {"error"}
        return [(frame["content"]["code"], frame["client_reference"]) for frame in frames]
