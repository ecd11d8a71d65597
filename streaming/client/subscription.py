"""The base class of subscriptions: they outlive connections, and one reader iterates over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Protocol, Self, TypeVar

from ..dialects.geo.messages import Ack, Message
from .position import Cursor, Position
from .waiting import Waiting

T = TypeVar("T")


class Owner(Protocol):
    """What a subscription needs of its client."""

    async def unsubscribe(self, subscription: Any) -> None:
        """End a subscription."""

    async def update(self, subscription: Any, wire: Mapping[str, Any]) -> None:
        """Change a subscription's conditions."""

    def _renew(self, subscription: Any) -> None:
        """Subscribe anew, soon: what comes on a subscription does not fit to what is held."""


class Subscription(Generic[T]):
    """An endless asynchronous iterator for one reader. It survives reconnects, and ends with its client or by `unsubscribe`.

    When the server ends it for good, what has arrived is still handed out; then the iterator raises `ConnectionClosedByServer`,
    `ConnectionLost`, or `RequestRefused` if the server does not take the subscription back after a reconnect.
    """

    def __init__(self, owner: Owner, id: str, wire: Mapping[str, Any], waiting: Waiting[T]) -> None:
        self.id = id
        self.recovered: bool | None = None
        """After a resume: whether exactly what was missed was sent. None if there was nothing to resume."""
        self.closed = False
        self._owner = owner
        self._wire = {name: value for name, value in wire.items() if name != "cursor"}
        self._position = Position(wire.get("cursor"))
        self._waiting = waiting

    @property
    def cursor(self) -> Cursor | None:
        """Everything up to here has been received (not necessarily iterated over); None while that is not known."""
        return self._position.cursor

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        return await self._waiting.get()

    async def unsubscribe(self) -> None:
        """End the subscription and its iterator; what still waits is dropped."""
        await self._owner.unsubscribe(self)

    def _request(self) -> Message:
        """The message that subscribes, or resumes."""
        raise NotImplementedError

    def _accepted(self, ack: Ack) -> None:
        """The server has subscribed or resumed; called before any message that follows the ack."""
        raise NotImplementedError

    def _interrupted(self) -> None:
        """The connection is gone."""
        self._position.disconnected()

    def _end(self, error: BaseException | None = None, drop: bool = False) -> None:
        self.closed = True
        if drop:
            self._waiting.clear()
        self._waiting.end(error)
