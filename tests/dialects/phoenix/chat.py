"""Channels as a project may write them; `happened` notes what their methods were called with."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from streaming.core.errors import StreamError
from streaming.topics import Channel, Refused, Reply, Stop, topic
from streaming.topics.rooms import SlowPolicy

happened: list[tuple[Any, ...]] = []


class Chat(Channel):
    """Does what it is told to."""

    slow: ClassVar[SlowPolicy | dict[str, SlowPolicy]] = {"dropped": "drop", "position": "latest"}

    async def join(self, params: dict[str, Any]) -> dict[str, Any] | None:
        happened.append(("join", self.subtopic, params))
        match params.get("be"):
            case "refused":
                raise Refused("full", limit=3)
            case "forbidden":
                raise StreamError("forbidden", "not you")
            case "unfit":
                return {"not JSON": object()}
        return params.get("answer")

    async def joined(self) -> None:
        happened.append(("joined", self.subtopic))
        self.push("welcome", {"to": self.member.id})
        if self.subtopic == "broken":
            raise RuntimeError("broken")

    async def handle_in(self, event: str, payload: Any) -> Reply | Stop | None:
        happened.append((event, payload))
        match event:
            case "echo":
                return Reply("ok", payload)
            case "wait":
                await asyncio.sleep(0.05)
                return Reply("ok", payload)
            case "say":
                await self.broadcast("said", payload)
            case "tell":
                await self.broadcast_from("told", payload)
            case "whisper":
                self.push("whispered", payload)
            case "refuse":
                raise StreamError("layer_full", "no more")
            case "unfit":
                return Reply("ok", object())
            case "end":
                return Stop(Reply("ok", "bye"))
            case _:
                return await super().handle_in(event, payload)
        return None

    async def leave(self) -> None:
        happened.append(("leave", self.member.id))
        if self.subtopic == "sad":
            raise RuntimeError("sad")


class Patient(Chat):
    """Closes whoever is slow."""

    slow: ClassVar[SlowPolicy] = "close"


topicpatterns = [topic("chat:*", Chat), topic("patient", Patient), topic("chat:never", Patient)]
