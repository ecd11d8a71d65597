"""The interface that a dialect implements: the session of one client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from streaming.core.errors import StreamError
from streaming.core.view import View


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    """One subscription of a client, as the admin shows it."""

    id: str
    kind: str
    feed: str
    filter: Mapping[str, Any] = field(default_factory=dict)
    since: float | None = None
    """Seconds since 1970; None: as long as the connection."""
    waiting: int = 0
    dropped: int = 0


@runtime_checkable
class HasFormat(Protocol):
    """A session that says how its messages are written, for the admin."""

    @property
    def format(self) -> str:
        """A few words."""


@runtime_checkable
class HasViews(Protocol):
    """A session whose subscriptions are views of feeds with a state: operators can see what its client holds."""

    def views(self, subscription_id: str) -> Mapping[str, View]:
        """The views that a subscription consists of, by layer; none of other subscriptions."""


class Session(Protocol):
    """The session of one client in its dialect: it receives frames and owns the subscriptions.

    A session that is a subclass has the methods that do nothing from here.
    """

    dialect: ClassVar[str]
    spare_pings: bool = False
    """Whether the client cannot bear WebSocket pings."""
    revision: int = 0
    """Grows whenever what `describe` returns has changed in more than numbers."""

    def __init__(self, connection: Any) -> None:
        """Begin with a connection that was just accepted."""

    async def receive(self, data: str | bytes) -> None:
        """Handle one frame. Refusals are answered, not raised."""

    def describe(self) -> list[dict[str, Any]]:
        """The subscriptions: of each the fields of `SubscriptionRow`, at least id, kind and feed.

        The admin shows them. A client without any counts as idle (`GEOSTREAM_IDLE_SECONDS`).
        """
        return []

    def tick(self, now: float) -> None:
        """Called once a second. `now` is seconds since 1970."""

    def access_changed(self) -> None:
        """Find out anew what may be read: layers, tilesets or the user have changed."""

    def expire(self, reason: StreamError) -> None:
        """Send the reason why the connection will be closed: the user may no longer be connected."""

    def close(self) -> None:
        """Leave everything; the connection is gone."""


class _Gone(Session):
    """Does nothing."""

    dialect = "none"

    def __init__(self) -> None:
        """It has no connection."""

    async def receive(self, data: str | bytes) -> None:
        return

    def tick(self, now: float) -> None:
        return

    def access_changed(self) -> None:
        return

    def expire(self, reason: StreamError) -> None:
        return

    def close(self) -> None:
        return


GONE = _Gone()
"""What a connection that has ended has in place of its session."""
