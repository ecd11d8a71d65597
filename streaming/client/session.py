"""The session on one connection: requests and their answers, pings and their pongs, data to their subscriptions."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Hashable
from typing import Any

from ..dialects.geo.messages import (
    Ack,
    Error,
    Event,
    FeatureData,
    LayerDictionary,
    Message,
    Ping,
    Pong,
    Subscriptions,
    TileData,
    TilesReady,
)
from .errors import ClientError, ConnectionLost, RequestRefused
from .event_subscription import EventSubscription
from .feature_subscription import FeatureSubscription
from .link import Link
from .pending import Pending, within
from .tile_subscription import TileSubscription

logger = logging.getLogger(__name__)

AnySubscription = FeatureSubscription | EventSubscription | TileSubscription
Answered = Callable[[Any, bool], None]


class Session:
    """One connection's conversation. Data of subscriptions that are not in `subscriptions` (any more) are ignored.

    A subscription that the server ends is taken out of them.
    """

    def __init__(
        self,
        link: Link,
        subscriptions: dict[str, AnySubscription],
        timeout: float,
        on_dictionary: Callable[[Session, LayerDictionary], None] | None = None,
    ) -> None:
        self._link = link
        self._on_dictionary = on_dictionary
        self._subscriptions = subscriptions
        self._timeout = timeout
        self._pending = Pending()
        self._ping_ids = itertools.count(1)
        self._closed = False

    async def read(self) -> None:
        """Handle what comes in. Ends with a ClientError, never by itself."""
        while True:
            message = await self._link.receive()
            if isinstance(message, Ping):
                await self._link.send(self._link.encode(Pong(message.id)))
            else:
                self._handle(message)

    def _handle(self, message: Message) -> None:
        match message:
            case FeatureData() | Event() | TileData() | TilesReady():
                self._deliver(message)
            case LayerDictionary() if self._on_dictionary is not None:
                self._on_dictionary(self, message)
            case Pong(id=id):
                self._pending.answer(_pong(id), message)
            case Ack(request_id=name) | Error(request_id=name) | Subscriptions(request_id=name):
                if name is None or not self._pending.answer(name, message):
                    self._unasked(name, message)
            case _:
                logger.warning("a %s message is not for a client", type(message).__name__)

    def _deliver(self, message: FeatureData | Event | TileData | TilesReady) -> None:
        match self._subscriptions.get(message.subscription_id), message:
            case FeatureSubscription() as subscription, FeatureData():
                subscription._receive(message)
            case EventSubscription() as subscription, Event():
                subscription._receive(message)
            case TileSubscription() as subscription, TileData():
                subscription._receive(message)
            case TileSubscription() as subscription, TilesReady():
                subscription._all_sent()

    def _unasked(self, name: str | None, message: Message) -> None:
        """A refusal that answers no request: of a subscription, its end (a layer may not be read any more)."""
        refusal = refused(message)
        if refusal is None:
            return
        subscription = None if name is None else self._subscriptions.pop(name, None)
        if subscription is None:
            logger.warning("the server reports: %s", refusal)
        else:
            subscription._end(refusal)

    async def request(self, name: Hashable, message: Message, answered: Answered, timeout: float | None = None) -> Any:
        """Send a request and return its answer. Raises what `answered` raises, ConnectionLost or RequestTimedOut."""
        if self._closed:
            raise ConnectionLost("the connection is closed")
        data = self._link.encode(message)
        future = self._pending.expect(name, answered)
        with contextlib.suppress(ClientError):  # the future gets it from `close`
            await self._link.send(data)
        return await within(timeout or self._timeout, future, type(message).__name__)

    async def tell(self, message: Message) -> None:
        """Send a message that is not answered. Raises ClientError."""
        await self._link.send(self._link.encode(message))

    async def ping(self, timeout: float | None = None) -> float:
        """The seconds until the server's pong."""
        id = next(self._ping_ids)
        clock = asyncio.get_running_loop().time
        began = clock()
        await self.request(_pong(id), Ping(id), lambda *_: None, timeout)
        return clock() - began

    async def close(self, error: BaseException | None) -> None:
        """Close the connection; requests that wait for an answer raise ConnectionLost."""
        self._closed = True
        lost = ConnectionLost(f"the connection ended: {error}")
        lost.__cause__ = error
        self._pending.fail(lost)
        await self._link.close()


def refused(answer: Any) -> RequestRefused | None:
    """The refusal, if an answer is one."""
    if isinstance(answer, Error):
        return RequestRefused(answer.code, answer.message)
    if isinstance(answer, Ack) and not answer.success:
        return RequestRefused(answer.code or "refused", answer.message or "the server gives no reason")
    return None


def demand_success(answer: Any) -> None:
    """Raises RequestRefused if an answer is a refusal."""
    refusal = refused(answer)
    if refusal is not None:
        raise refusal


def _pong(id: int) -> Hashable:
    return ("pong", id)
