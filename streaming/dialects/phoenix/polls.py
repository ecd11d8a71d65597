"""The clients of a process that poll, and the forwarding of requests to those of other processes.

It goes through Redis, where no token may be read: it is encrypted with a key that all processes derive from their secret one.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, TypeVar

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from streaming.core.bus import Arrival
from streaming.engine.auth import Principal
from streaming.engine.service import Service
from streaming.topics.service import Topics

from .longpoll import GONE, POLL_SECONDS, PollPeer, new_token, node_of
from .serializers import Serializer

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime

logger = logging.getLogger(__name__)

ANSWER_SECONDS = POLL_SECONDS + 5.0


class ForwardedRequest(msgspec.Struct, array_like=True):
    """A request for a poller of another process: with a body a POST, without one a GET."""

    number: int
    reply_to: str
    token: str
    body: bytes | None


class PollAnswer(msgspec.Struct, array_like=True):
    """The answer of that process."""

    number: int
    status: int
    messages: list[str]


class Polls(Service):
    """The pollers of one process by token."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        bus = self._bus = runtime.service(Topics).bus
        self._node = runtime.hub.node
        self._peers: dict[str, PollPeer] = {}
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[PollAnswer]] = {}
        bus.on_channel(f"geostream:poll:{self._node}", self._receive_requests)
        bus.on_channel(f"geostream:polled:{self._node}", self._receive_answers)

    def open(self, address: str, principal: Principal, serializer: Serializer, channel_token: str | None) -> str:
        """A new poller; returns its token. `StreamError`: too_many_connections, banned."""
        self.runtime.connections.admit(address, principal)
        token = new_token(self._node)

        def forget() -> None:
            self._peers.pop(token, None)

        self._peers[token] = PollPeer(self.runtime, address, principal, serializer, channel_token, forget)
        return token

    async def ask(self, token: str, body: bytes | None) -> tuple[int, list[str]]:
        """The answer to a request for a poller, wherever it is: the status and, for a poll, the frames."""
        node = node_of(token)
        if node is None:
            return GONE, []
        return await self._ask_local(token, body) if node == self._node else await self._ask_remote(node, token, body)

    async def stop(self) -> None:
        """Every poller is gone."""
        for peer in list(self._peers.values()):
            peer.leave()

    async def _ask_local(self, token: str, body: bytes | None) -> tuple[int, list[str]]:
        peer = self._peers.get(token)
        if peer is None:
            return GONE, []
        return await peer.poll() if body is None else (await peer.post(body), [])

    async def _ask_remote(self, node: str, token: str, body: bytes | None) -> tuple[int, list[str]]:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        request = encrypted(ForwardedRequest(number, f"geostream:polled:{self._node}", token, body))
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

    def _receive_requests(self, arrivals: Sequence[Arrival]) -> None:
        for arrival in arrivals:
            request = decrypted(arrival.payload, ForwardedRequest)
            if request is not None:
                self.runtime.spawn(self._answer(request))

    async def _answer(self, request: ForwardedRequest) -> None:
        status, messages = await self._ask_local(request.token, request.body)
        self._bus.publish(request.reply_to, encrypted(PollAnswer(request.number, status, messages)))

    def _receive_answers(self, arrivals: Sequence[Arrival]) -> None:
        for arrival in arrivals:
            answered = decrypted(arrival.payload, PollAnswer)
            waiting = None if answered is None else self._waiting.get(answered.number)
            if answered is not None and waiting is not None and not waiting.done():
                waiting.set_result(answered)


T = TypeVar("T", ForwardedRequest, PollAnswer)


def encrypted(message: ForwardedRequest | PollAnswer) -> bytes:
    """The bytes that go through Redis."""
    return _cipher(settings.SECRET_KEY).encrypt(msgspec.msgpack.encode(message))


def decrypted(payload: bytes, kind: type[T]) -> T | None:
    """The message that another process has forwarded; None if none of our processes made it."""
    try:
        return msgspec.msgpack.decode(_cipher(settings.SECRET_KEY).decrypt(payload), type=kind)
    except (InvalidToken, msgspec.MsgspecError):
        logger.warning("something that no process of ours has forwarded was published for long polling")
        return None


@cache
def _cipher(secret: str) -> Fernet:
    return Fernet(urlsafe_b64encode(sha256(f"geostream.polls:{secret}".encode()).digest()))
