"""The topic `admin`: operators see every topic, member and process, and may act on them.

Staff may join, and clients with a token for exactly this topic; only staff with the permission `streaming.operate_topics` may act. What is
pushed here are commands and never reaches Redis as a message.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar

from django.db import DatabaseError

from streaming.core.errors import StreamError
from streaming.topics.channel import Channel, Reply
from streaming.topics.rooms import SlowPolicy

from .alerts.pushing import push_firing
from .commands import COMMANDS, may_operate, operate
from .monitor import REPORT
from .presence_announcer import ALWAYS

logger = logging.getLogger(__name__)

MOST_TOPICS = 1000
MOST_AGENTS = 100
READ_AT_ONCE = 50


class AdminChannel(Channel):
    """One operator."""

    presence = True
    slow: ClassVar[dict[str, SlowPolicy]] = {"node.stats": "drop"}

    async def join(self, params: dict[str, Any]) -> dict[str, Any] | None:
        """Staff, or a token for this topic. `operate`: whether commands will be obeyed."""
        if self.user.is_staff:
            self.member.key = self.user.get_username()
            operates = await may_operate(self.user)
        else:
            self.member.key = self.authorize(params).id
            operates = False
        return {"id": self.member.id, "node": self.topics.runtime.hub.node, "operate": operates}

    async def joined(self) -> None:
        """Send the topics and the statistics of all processes."""
        self.track(self.member.key)
        self.topics.spawn(self._send_everything())

    async def handle_in(self, event: str, payload: Any) -> Reply:
        """A command, or `channel.list`: send the list of topics again."""
        if event == "channel.list":
            return Reply(response={"channels": await self._list()})
        if event not in COMMANDS:
            return Reply("error", {"reason": "bad_request", "detail": f"no such command; there are {', '.join(COMMANDS)}, channel.list"})
        if self.claims is not None:
            return Reply("error", {"reason": "unauthorized", "detail": "a token may look but not act"})
        try:
            await operate(self.topics, self.user, event, payload)
        except StreamError as error:
            reason = "unauthorized" if error.code == "forbidden" else error.code
            return Reply("error", {"reason": reason, "detail": error.message})
        return Reply()

    def refresh(self) -> None:
        """Who is not staff any more leaves."""
        if self.claims is None and not self.user.is_staff:
            self.topics.spawn(self._expel())

    async def _expel(self) -> None:
        await self.connection.session.end(self.member, "phx_error", {"reason": "unauthorized"})  # type: ignore[attr-defined]

    async def _send_everything(self) -> None:
        try:
            await push_firing(self)
            await self._list()
            await self.topics.runtime.hub.control(REPORT)
        except (StreamError, DatabaseError) as error:
            logger.warning("an operator did not receive the alerts or the list of topics: %s", error)

    async def _list(self) -> int:
        """One `channel.list` for each topic; how many there were."""
        found = await self.topics.presence.topics(MOST_TOPICS)
        names = [*ALWAYS, *sorted(set(found).difference(ALWAYS))][:MOST_TOPICS]
        for start in range(0, len(names), READ_AT_ONCE):
            for listed in await asyncio.gather(*map(self._listed, names[start : start + READ_AT_ONCE])):
                if self.member.room is not None:
                    self.push("channel.list", listed)
        return len(names)

    async def _listed(self, topic: str) -> dict[str, Any]:
        count = await self.topics.presence.count(topic)
        if count > MOST_AGENTS:
            return {"channel": topic, "agents": [], "users": [], "count": count}
        keys = await self.topics.presence.keys(topic) if count else {}
        return {"channel": topic, "agents": list(keys), "users": list(keys.values()), "count": len(keys)}
