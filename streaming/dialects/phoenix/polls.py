"""The pollers of a process, and the way to those of the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from streaming.auth import Principal
from streaming.core.bus import Arrival, Bus

from .longpoll import GONE, POLL_SECONDS, PollPeer, new_token, node_of
from .serializers import Serializer

if TYPE_CHECKING:
    from streaming.runtime import Runtime

logger = logging.getLogger(__name__)

ANSWER_SECONDS = POLL_SECONDS + 5.0


class Passed(msgspec.Struct, array_like=True):
    """A request for a poller of another process; without a body it is a poll."""

    number: int
    reply_to: str
    token: str
    body: bytes | None


class Answered(msgspec.Struct, array_like=True):
    """What that process says."""

    number: int
    status: int
    messages: list[str]


class Polls:
    """The pollers of one process by token."""

    def __init__(self, runtime: Runtime, bus: Bus) -> None:
        self._runtime = runtime
        self._bus = bus
        self._node = runtime.hub.node
        self._peers: dict[str, PollPeer] = {}
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Answered]] = {}
        bus.on_channel(f"geostream:poll:{self._node}", self._passed_to_us)
        bus.on_channel(f"geostream:polled:{self._node}", self._answered_to_us)

    def open(self, address: str, principal: Principal, serializer: Serializer, channel_token: str | None) -> str:
        """A new poller; returns its token. `StreamError("too_many_connections")`."""
        self._runtime.admit(address, principal)
        token = new_token(self._node)

        def forget() -> None:
            self._peers.pop(token, None)

        self._peers[token] = PollPeer(self._runtime, address, principal, serializer, channel_token, forget)
        return token

    async def ask(self, token: str, body: bytes | None) -> tuple[int, list[str]]:
        """The answer to a request for a poller, wherever it is: the status and, for a poll, the frames."""
        node = node_of(token)
        if node is None:
            return GONE, []
        return await self._here(token, body) if node == self._node else await self._there(node, token, body)

    def stop(self) -> None:
        """Every poller is gone."""
        for peer in list(self._peers.values()):
            peer.leave()

    async def _here(self, token: str, body: bytes | None) -> tuple[int, list[str]]:
        peer = self._peers.get(token)
        if peer is None:
            return GONE, []
        return await peer.poll() if body is None else (await peer.say(body), [])

    async def _there(self, node: str, token: str, body: bytes | None) -> tuple[int, list[str]]:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        request = msgspec.msgpack.encode(Passed(number, f"geostream:polled:{self._node}", token, body))
        try:
            if not await self._bus.publish(f"geostream:poll:{node}", request):
                return GONE, []  # that process is no more
            async with asyncio.timeout(ANSWER_SECONDS):
                answered = await answer
        except TimeoutError:
            return GONE, []
        finally:
            del self._waiting[number]
        return answered.status, answered.messages

    def _passed_to_us(self, arrivals: Sequence[Arrival]) -> None:
        for arrival in arrivals:
            request = msgspec.msgpack.decode(arrival.payload, type=Passed)
            self._runtime.topics.spawn(self._answer(request))

    async def _answer(self, request: Passed) -> None:
        status, messages = await self._here(request.token, request.body)
        self._bus.publish(request.reply_to, msgspec.msgpack.encode(Answered(request.number, status, messages)))

    def _answered_to_us(self, arrivals: Sequence[Arrival]) -> None:
        for arrival in arrivals:
            answered = msgspec.msgpack.decode(arrival.payload, type=Answered)
            waiting = self._waiting.get(answered.number)
            if waiting is not None and not waiting.done():
                waiting.set_result(answered)
