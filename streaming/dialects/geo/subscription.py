"""The base class of a client's subscriptions, and the part of its session that they use."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from streaming.core.deliveries import Frames
from streaming.core.errors import StreamError
from streaming.core.outbox import Outbox
from streaming.core.selection import Selection, find
from streaming.engine.senders import Framing

from .encoding import Encoding
from .messages import Message, SubscriptionInfo, UpdateSubscription

if TYPE_CHECKING:
    from streaming.engine.runtime import Runtime
    from streaming.tiles.tile_viewport import SendWindow

    from .dictionary_use import DictionaryUse


class Subscriber(Protocol):
    """The session of a client, as its subscriptions use it."""

    outbox: Outbox
    framing: Framing
    runtime: Runtime
    dictionaries: DictionaryUse | None
    """Of a client that asked for compression with dictionaries."""

    @property
    def encoding(self) -> Encoding:
        """How messages to the client are encoded now."""

    @property
    def user(self) -> Any:
        """The client's user."""

    @property
    def address(self) -> str:
        """Where the client is."""

    @property
    def subscriptions(self) -> Mapping[str, Subscription]:
        """The client's subscriptions by id."""

    @property
    def tile_window(self) -> SendWindow:
        """What all tile subscriptions of the client may have under way together."""

    def send(self, message: Message) -> None:
        """Queue a message."""

    def frames(self, message: Message) -> Frames:
        """A message for a place in the outbox that was reserved for it."""

    def refuse(self, error: StreamError, request_id: str | None) -> None:
        """Send an `error` message."""

    def forget(self, subscription_id: str) -> None:
        """Remove a subscription that has ended."""


class Subscription(ABC):
    """One subscription of a client. Its id is its lane in the outbox.

    Checks may wait, for the database or for Redis. But between naming the moment whose state the client is sent first and joining the
    feed nothing awaits, so that the client misses nothing and gets nothing twice. A place in the outbox is reserved then; what belongs
    there is found out in turns with others.
    """

    kind: ClassVar[str]

    def __init__(self, session: Subscriber, subscription_id: str) -> None:
        self.id = subscription_id
        self.since = time.time()
        self._session = session

    @property
    @abstractmethod
    def waiting(self) -> int:
        """How many messages wait for the client."""

    @property
    def dropped(self) -> int:
        """How many messages were dropped because the client was slow."""
        return 0

    @abstractmethod
    async def start(self) -> None:
        """Join, acknowledge, and queue what is there. `StreamError` if it is refused; then nothing was joined."""

    @abstractmethod
    async def update(self, message: UpdateSubscription) -> None:
        """Change the conditions, acknowledge, and queue the difference. `StreamError` if it is refused."""

    @abstractmethod
    async def review(self) -> None:
        """Leave what the client may no longer read. Called when layers, tilesets or the user have changed."""

    @abstractmethod
    def stop(self) -> None:
        """Leave."""

    @abstractmethod
    def info(self) -> SubscriptionInfo:
        """The entry in the answer to `list_subscriptions`."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The feed and the filter, for the admin."""

    async def _select(self, selection: Selection) -> None:
        """Find out what is selected; if there is much to look at, in turns with others."""
        await find(selection, self._session.runtime.hub.turns, self._session.outbox)

    def _check_active(self, source: str) -> None:
        """`StreamError` if the subscription ended while its update waited; `source` is a layer or a tileset."""
        if self._session.subscriptions.get(self.id) is not self:
            raise StreamError("unknown_subscription", f"the subscription has ended: its {source} may no longer be read")

    def _end(self, reason: StreamError) -> None:
        """Notify the client that the subscription has ended."""
        self._session.forget(self.id)
        self._session.refuse(StreamError(reason.code, f"{reason.message}; the subscription has ended"), self.id)
