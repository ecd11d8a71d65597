"""Open topics: a client with a token may join, what clients push goes to Redis, and what backends publish there comes to the clients."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from streaming.core.errors import StreamError

from ..channel import Channel, Push, Refused, Reply, Stop

if TYPE_CHECKING:
    from ..history import Following

BREAKS_CLIENTS = frozenset(
    [
        "__proto__",
        "constructor",
        "hasOwnProperty",
        "isPrototypeOf",
        "propertyIsEnumerable",
        "toLocaleString",
        "toString",
        "valueOf",
        "__defineGetter__",
        "__defineSetter__",
        "__lookupGetter__",
        "__lookupSetter__",
    ]
)
"""What every JavaScript object has: phoenix.js looks members up in one, and fails for everybody on the topic."""


class OpenChannel(Channel):
    """A topic bridged to Redis: `from:<topic>:<event>` for backends, `to:<topic>:<event>` for clients."""

    presence = True
    keeps_history = True
    _following: Following | None = None

    async def join(self, params: dict[str, Any]) -> dict[str, Any] | None:
        """Needs a channel token for the topic."""
        key = self.authorize(params).id
        if key in BREAKS_CLIENTS:
            raise Refused("bad id", detail=f"clients cannot list a member called {key}")
        self.member.key = key
        history = self.topics.history
        if history is None or not history.keeps(self.topic):
            return {"id": self.member.id}
        last_id = params.get("last_id")
        if not isinstance(last_id, str | None):
            raise StreamError("bad_request", "last_id is a text")
        self._following = await history.follow(self.member, last_id)
        return {"id": self.member.id, **self._following.reply}

    async def joined(self) -> None:
        """The client is shown to the others, and receives what it missed."""
        if self._following is not None:
            self._following.deliver_missed()
        self.track(self.member.key)
        self.topics.bridge.joined(self.member)

    async def receive(self, push: Push) -> Reply | Stop | asyncio.Future[Reply] | None:
        """The bytes go to Redis as they are; the answer is given once it has them."""
        return self.topics.bridge.push(self, push)

    async def leave(self) -> None:
        """End the history's view, and notify the backends if `GEOSTREAM_BRIDGE_JOINS` is on."""
        if self._following is not None:
            self._following.end()
        self.topics.bridge.left(self.member)

    def describe(self) -> dict[str, Any]:
        """For the admin."""
        return super().describe() | ({} if self._following is None else self._following.describe())
