"""The project's own topics in the tests: the channels that the recorded sessions of a Phoenix server spoke to."""

from __future__ import annotations

from typing import Any

from streaming.core.errors import CloseCode
from streaming.topics import Channel, Refused, Reply, Stop, topic


class Room(Channel):
    """What the recorded server's channel did."""

    async def join(self, params: dict[str, Any]) -> dict[str, Any] | None:
        if self.subtopic == "denied":
            raise Refused
        if self.subtopic == "crash":
            raise RuntimeError("crash")
        return {"welcome": True} if self.subtopic == "hello" else None

    async def handle_in(self, event: str, payload: Any) -> Reply | Stop | None:
        match event:
            case "ok" | "away" | "untrack":
                if event == "away":
                    self.update({"status": "away"})
                elif event == "untrack":
                    self.untrack()
                return Reply()
            case "echo":
                return Reply("ok", payload)
            case "err":
                return Reply("error", {"reason": "nope"})
            case "noreply":
                return None
            case "shout":
                await self.broadcast("shout", payload)
            case "shout_from":
                await self.broadcast_from("shout", payload)
            case "binpush":
                self.push("bin", payload)
                await self.broadcast("binb", payload)
            case "kick":
                self.connection.close(CloseCode.DISCONNECTED, "kicked")
            case "stop":
                return Stop()
            case "stopr":
                return Stop(Reply("ok", {"bye": 1}))
            case _:
                raise LookupError(event)
        return None


class PresentRoom(Room):
    """Rooms that show who is there."""

    presence = True
    user_key = ""

    async def join(self, params: dict[str, Any]) -> dict[str, Any] | None:
        self.user_key = str(params.get("user", "nobody"))
        return await super().join(params)

    async def joined(self) -> None:
        self.track(self.user_key)


topicpatterns = [topic("room:p*", PresentRoom), topic("room:*", Room)]
