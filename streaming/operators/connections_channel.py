"""The topic `admin:connections`: the page Connections, live, and what operators do there.

The tables are read again every two seconds for each operator who looks, and sent if anything in them has changed. Acting needs the
permission `streaming.operate_topics`, asked anew each time. Each act, and each look at a client's picture, is written into the admin's log
before it is done.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import Any, ClassVar

import msgspec
from channels.db import database_sync_to_async
from django.db import DatabaseError

from streaming.core.errors import StreamError
from streaming.engine import ban_store
from streaming.topics.channel import Channel, Refused, Reply
from streaming.topics.rooms import SlowPolicy

from .ban_commands import Impose, Lift, Operator
from .client_picture import PictureRequest, ask_for_picture
from .commands import PERMISSION, may_operate, operate, record
from .connection_list import Wanted, listed, may_look

logger = logging.getLogger(__name__)

VIEW = "streaming.view_connection"
SECONDS = 2.0
"""How often the tables are read."""
_COMMANDS: dict[str, type[Impose | Lift]] = {"ban": Impose, "lift": Lift}

_in_thread = partial(database_sync_to_async, thread_sensitive=False)


class ConnectionsChannel(Channel):
    """One operator who looks at the connections."""

    slow: ClassVar[dict[str, SlowPolicy]] = {"connections": "latest", "bans": "latest"}
    notices_gaps = False
    _reading: asyncio.Task[None] | None = None

    async def join(self, params: dict[str, Any]) -> dict[str, Any]:
        """Staff who may see connections. `operate`: whether they may act."""
        if not await _in_thread(may_look)(self.user):
            raise Refused(detail=f"this needs the permission {VIEW}")
        self._wanted = Wanted()
        self._look = asyncio.Event()
        self._sent = b""
        self._sent_bans = b""
        return {"operate": await may_operate(self.user)}

    async def joined(self) -> None:
        """Send the list, again and again."""
        self._reading = asyncio.create_task(self._keep_reading())

    async def leave(self) -> None:
        """Nobody looks any more."""
        if self._reading is not None:
            self._reading.cancel()

    def refresh(self) -> None:
        """Permissions have changed."""
        self.topics.spawn(self._review())

    async def handle_in(self, event: str, payload: Any) -> Reply:
        """`look` chooses what is listed; `disconnect`, `ban`, `lift` and `picture` are commands."""
        try:
            if event == "look":
                self._wanted = msgspec.convert(payload, Wanted)
                self._sent = b""
                self._look.set()
                return Reply()
            return Reply(response=await self._operate(event, payload))
        except msgspec.ValidationError as error:
            return Reply("error", {"reason": "bad_request", "detail": str(error)})
        except StreamError as error:
            reason = "unauthorized" if error.code == "forbidden" else error.code
            return Reply("error", {"reason": reason, "detail": error.message})

    async def _operate(self, event: str, payload: Any) -> dict[str, Any]:
        if event == "disconnect":
            await operate(self.topics, self.user, event, payload)
            return {}
        if not await may_operate(self.user):
            raise StreamError("forbidden", f"this needs the permission {PERMISSION}")
        if event == "picture":
            request = msgspec.convert(payload, PictureRequest)
            await _in_thread(record)(self.user.pk, request.what)
            return await ask_for_picture(self.topics.runtime.hub, request)
        if event not in _COMMANDS:
            raise StreamError("bad_request", f"no such command; there are look, picture, disconnect, {', '.join(_COMMANDS)}")
        command = msgspec.convert(payload, _COMMANDS[event])
        await _in_thread(command.act)(Operator(self.user, self.connection.address))
        logger.warning("the operator %s: %s", self.user.get_username(), event)
        self._look.set()
        return {}

    async def _keep_reading(self) -> None:
        while True:
            self._look.clear()
            began = time.monotonic()
            try:
                await self._send_list()
            except DatabaseError as error:
                logger.warning("an operator did not receive the connections: %s", error)
            await self._send_bans()
            try:
                async with asyncio.timeout(max(SECONDS, 5 * (time.monotonic() - began))):
                    await self._look.wait()
            except TimeoutError:
                pass

    async def _send_list(self) -> None:
        wanted = self._wanted
        found = msgspec.json.encode(await _in_thread(listed)(wanted))
        if wanted is self._wanted and found != self._sent and self.member.room is not None:
            self._sent = found
            self.push("connections", msgspec.Raw(found))

    async def _send_bans(self) -> None:
        try:
            bans: Any = [{"name": ban.name, **msgspec.to_builtins(ban)} for ban in await asyncio.to_thread(ban_store.bans)]
        except StreamError:
            bans = None  # Redis is away
        found = msgspec.json.encode({"bans": bans})
        if found != self._sent_bans and self.member.room is not None:
            self._sent_bans = found
            self.push("bans", msgspec.Raw(found))

    async def _review(self) -> None:
        if not await _in_thread(may_look)(self.user):
            await self.connection.session.end(self.member, "phx_error", {"reason": "unauthorized"})  # type: ignore[attr-defined]
