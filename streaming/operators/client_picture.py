"""A client's picture: the features that one of its subscriptions stands for right now, as the process that serves it sees them.

Whoever asks sends a control message; the process that has the connection answers into a list in Redis that goes by itself. It selects in
turns with others, one picture at a time, and answers with a page of bounded size.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from streaming.core.errors import StreamError
from streaming.core.keys import COMMON
from streaming.core.redis import async_redis, refusing
from streaming.core.replica import Replica
from streaming.core.selection import find
from streaming.core.view import View
from streaming.engine.session import HasViews

if TYPE_CHECKING:
    from streaming.core.hub import Hub
    from streaming.engine.client_connection import ClientConnection
    from streaming.engine.runtime import Runtime

logger = logging.getLogger(__name__)

PICTURE = "client.picture"
"""The control message that asks for one."""
PAGE = 100
"""Features of one page, and their bytes."""
PAGE_BYTES = 512 * 1024
FILTER_BYTES = 256 * 1024
ANSWER_SECONDS = 5
"""How long the process that has the connection may take."""
KEPT_SECONDS = 30


class PictureRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Which picture: of a subscription, of one of its layers (None: the first), from which feature on."""

    connection: str
    subscription: str
    layer: str | None = None
    start: int = 0

    @property
    def what(self) -> str:
        """For the log. `StreamError`: what cannot be in it cannot be an id."""
        if "\0" in self.connection + self.subscription:
            raise StreamError("bad_request", "this cannot be an id")
        return f"Looked at what {self.connection[:80]} holds of {self.subscription[:80]}"


async def ask_for_picture(hub: Hub, request: PictureRequest) -> dict[str, Any]:
    """The picture, from whichever process. `StreamError`: unknown_subscription, redis_unavailable."""
    key = f"{COMMON}picture:{secrets.token_urlsafe(12)}"
    with refusing():
        await hub.control(PICTURE, reply=key, **msgspec.to_builtins(request))
        found: Any = await async_redis().blpop([key], timeout=ANSWER_SECONDS)
    if found is None:
        raise StreamError("unknown_subscription", "the connection is gone, or its process does not answer")
    answer: dict[str, Any] = msgspec.json.decode(found[1])
    if "error" in answer:
        raise StreamError(answer["error"], answer["message"])
    return answer


class ClientPictures:
    """Answers for the connections of one process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._busy = asyncio.Lock()

    def start(self) -> None:
        """Answer from now on."""
        self._runtime.hub.on(PICTURE, self._asked)

    def _asked(self, message: dict[str, Any]) -> None:
        connection = self._runtime.connections.open.get(message["connection"])
        if connection is not None:
            fields = {name: message[name] for name in PictureRequest.__struct_fields__}
            self._runtime.spawn(self._reply(connection, PictureRequest(**fields), message["reply"]))

    async def _reply(self, connection: ClientConnection, request: PictureRequest, key: str) -> None:
        try:
            async with self._busy:
                answer = await self.picture(connection, request)
        except StreamError as error:
            answer = {"error": error.code, "message": error.message}
        try:
            with refusing():
                async with async_redis().pipeline() as pipe:
                    pipe.rpush(key, msgspec.json.encode(answer))
                    pipe.expire(key, KEPT_SECONDS)
                    await pipe.execute()
        except StreamError as error:
            logger.warning("a picture could not be answered: %s", error)

    async def picture(self, connection: ClientConnection, request: PictureRequest) -> dict[str, Any]:
        """The whole filter and a page of features, in WGS 84 and with all properties, whatever the client asked for."""
        session = connection.session
        described = next((each for each in session.describe() if each["id"] == request.subscription), None)
        if described is None:
            raise StreamError("unknown_subscription", "the client has ended this subscription")
        views: Mapping[str, View] = session.views(request.subscription) if isinstance(session, HasViews) else {}
        answer = {"filter": _whole(described.get("filter") or {}), "layers": sorted(views)}
        name = request.layer if request.layer is not None else next(iter(answer["layers"]), None)
        view = views.get(name) if name is not None else None
        if view is None or not isinstance(view.follows, Replica):
            return {**answer, "layer": None, "total": 0, "start": 0, "next": None, "features": [], "delayed": 0, "sending": False}
        return {**answer, "layer": name, **await self._page(view, view.follows, max(request.start, 0))}

    async def _page(self, view: View, replica: Replica, start: int) -> dict[str, Any]:
        selection = replica.select(view.filter)
        await find(selection, self._runtime.hub.turns, self)
        features, room, number = list[dict[str, Any]](), PAGE_BYTES, start
        while number < min(len(selection), start + PAGE):
            delivery = selection[number]
            assert delivery.item is not None  # without an earlier filter there are no deletions
            room -= len(delivery.item.value)
            if room < 0 and features:
                break
            shown = msgspec.Raw(delivery.item.value) if len(delivery.item.value) <= PAGE_BYTES else None
            features.append({"id": delivery.key, "feature": shown, "delayed": view.delays(delivery.key)})
            number += 1
        return {
            "total": len(selection),
            "start": start,
            "next": number if number < len(selection) else None,
            "features": features,
            "delayed": len(view.queue),
            "sending": view.outbox.waits(view),
        }


def _whole(conditions: Mapping[str, Any]) -> Any:
    text = msgspec.json.encode(conditions)
    return msgspec.Raw(text) if len(text) <= FILTER_BYTES else {"too large": f"{len(text):,} bytes"}
