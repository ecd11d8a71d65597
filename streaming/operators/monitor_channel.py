"""The topic `monitor`: what operators' pages show is told here as it happens. Staff only; what is pushed here are questions.

Who is connected, in short, is read from the tables every few seconds for each page whose operator may see that, and sent if it has changed.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any, ClassVar

from channels.db import database_sync_to_async
from django.db import DatabaseError

from streaming.core.errors import StreamError
from streaming.topics.channel import Channel, Refused, Reply
from streaming.topics.rooms import SlowPolicy

from . import history
from .alerts.pushing import push_firing
from .connection_list import may_look
from .history import RINGS
from .overview import connected

logger = logging.getLogger(__name__)

PERIODS = [ring.name for ring in RINGS]
SECONDS = 5.0
"""How often it is read who is connected."""
_in_thread = partial(database_sync_to_async, thread_sensitive=False)


class MonitorChannel(Channel):
    """One page of one operator."""

    slow: ClassVar[dict[str, SlowPolicy]] = {"frame": "latest", "node.stats": "drop", "connected": "latest"}
    _reading: asyncio.Task[None] | None = None

    async def join(self, params: dict[str, Any]) -> dict[str, Any] | None:
        """Staff, with their login. The charts are declared in the answer."""
        if not self.user.is_staff:
            raise Refused
        self.member.key = self.user.get_username()
        recorder = self._recorder
        steps = {ring.name: ring.step for ring in RINGS}
        return {"charts": recorder.charted.described(), "steps": steps, "latest": await recorder.latest()}

    async def joined(self) -> None:
        """Send the alerts that fire; and who is connected, again and again."""
        self.topics.spawn(self._send_alerts())
        self._reading = asyncio.create_task(self._keep_reading())

    async def leave(self) -> None:
        """Nobody looks any more."""
        if self._reading is not None:
            self._reading.cancel()

    async def _keep_reading(self) -> None:
        sent: Any = None
        while True:
            try:
                found = await _in_thread(_connected_for)(self.user)
                if found != sent and self.member.room is not None:
                    self.push("connected", {"lists": found})
                    sent = found
            except DatabaseError as error:
                logger.warning("an operator was not told who is connected: %s", error)
            await asyncio.sleep(SECONDS)

    async def _send_alerts(self) -> None:
        try:
            await push_firing(self)
        except DatabaseError as error:
            logger.warning("an operator did not receive the alerts: %s", error)

    async def handle_in(self, event: str, payload: Any) -> Reply:
        """`history` with `period` (5m, 1h, 24h) and `by_process`: the frames of that time, as columns."""
        period = payload.get("period") if isinstance(payload, dict) else None
        if event != "history" or period not in PERIODS:
            return Reply("error", {"reason": "bad_request", "detail": f"there is `history`, with a period of {', '.join(PERIODS)}"})
        try:
            frames = await history.read(period)
        except StreamError as error:
            return Reply("error", {"reason": error.code, "detail": error.message})
        return Reply(response=history.columns(frames, payload.get("by_process") is True))

    def refresh(self) -> None:
        """Who is not staff any more leaves."""
        if not self.user.is_staff:
            self.topics.spawn(self.connection.session.end(self.member, "phx_error", {"reason": "unauthorized"}))  # type: ignore[attr-defined]

    @property
    def _recorder(self) -> Any:
        from .service import Operators  # which is made with the topics that it needs

        return self.topics.runtime.service(Operators).recorder


def _connected_for(user: Any) -> list[Any]:
    """Lists of who is connected, each with its heading; none for who may not see them."""
    return [{"heading": heading, "rows": [row._asdict() for row in rows]} for heading, rows in (connected() if may_look(user) else ())]
