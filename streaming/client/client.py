"""The client: what a program asks of a server.

A request that a broken connection swallowed is sent again on the next one. A program sees a broken connection as a pause, or as `recovered`
being False, and never as a state that is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import logging
import ssl as tls
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, Unpack

from ..dialects.geo.codec import Encoding
from ..dialects.geo.messages import (
    Authenticate,
    Compression,
    LayerDictionary,
    ListSubscriptions,
    Message,
    MessageFormat,
    SubscriptionInfo,
    Unsubscribe,
)
from .backoff import Backoff
from .changes import Event, FeatureChange
from .conditions import BBox, EventOptions, FeatureOptions, TileOptions, Zooms, features_to_wire, tiles_to_wire, to_wire
from .dictionaries import DictionaryUnavailable, HeldDictionaries
from .errors import ClientError, ConnectionLost, RequestRefused, RequestTimedOut
from .event_subscription import EventSubscription
from .feature_subscription import FeatureSubscription
from .keeper import Heartbeat, Keeper
from .link import Endpoint
from .merging import merged
from .session import Answered, AnySubscription, Session, demand_success
from .state import ConnectionState, StateCallback
from .tile_subscription import TileSubscription
from .tiles import Tile

logger = logging.getLogger(__name__)

Token = str | Callable[[], str | Awaitable[str]]
"""A JWT, or a function (or coroutine function) that gives one; it is asked for every connection, so it can give a fresh one."""


class GeoStreamClient:
    """A connection to a GeoStream server, as an asynchronous context manager; for one use.

    The first connection is tried once and its failure raised; later ones are repeated after the pauses of `backoff`, if `auto_reconnect`.
    Times are in seconds, sizes in bytes. With `dictionaries` small messages of features are compressed with the zstd dictionary of their
    layer, which the client fetches over HTTP; until it has it, they come as `compression` says.
    """

    def __init__(
        self,
        url: str = "ws://127.0.0.1:8000/ws",
        *,
        token: Token | None = None,
        format: Literal["Json", "MessagePack", "Binary"] = "Json",
        compression: Literal["None", "Zstd"] = "None",
        dictionaries: bool = False,
        headers: Mapping[str, str] | None = None,
        auto_reconnect: bool = True,
        max_reconnect_attempts: int | None = None,
        backoff: Backoff | None = None,
        connect_timeout: float = 10.0,
        message_timeout: float = 30.0,
        ping_interval: float | None = 20.0,
        ping_timeout: float = 20.0,
        max_size: int = 16 << 20,
        max_waiting_events: int = 1000,
        ssl: tls.SSLContext | None = None,
        proxy: str | Literal[True] | None = True,
    ) -> None:
        encoding = Encoding.of(MessageFormat(format), Compression(compression))
        self._data_encoding = "base64" if encoding.format is MessageFormat.JSON else "bin"
        held = HeldDictionaries(url, dict(headers or {}), ssl, proxy, connect_timeout) if dictionaries else None
        self._endpoint = Endpoint(url, encoding, dict(headers or {}), ssl, proxy, connect_timeout, max_size=max_size, dictionaries=held)
        self._token = token
        self._message_timeout = message_timeout
        self._max_waiting_events = max_waiting_events
        self._subscriptions: dict[str, AnySubscription] = {}
        self._request_ids = (f"request-{number}" for number in itertools.count(1))
        self._errands: set[asyncio.Task[None]] = set()
        heartbeat = Heartbeat(ping_interval, ping_timeout)
        self._keeper = Keeper(self, backoff or Backoff(attempts=max_reconnect_attempts) if auto_reconnect else None, heartbeat)

    @property
    def state(self) -> ConnectionState:
        """The state of the connection."""
        return self._keeper.state

    @property
    def subscriptions(self) -> Mapping[str, AnySubscription]:
        """The subscriptions by id."""
        return dict(self._subscriptions)

    def on_state(self, callback: StateCallback) -> Callable[[], None]:
        """Have `callback(state, error)` called in the event loop on every change of `state`. Returns what takes it back."""
        return self._keeper.on_state(callback)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def connect(self) -> None:
        """Open the connection. Raises ConnectionFailed, ConnectionClosedByServer, ConnectionLost or ProtocolError."""
        await self._keeper.start()

    async def close(self) -> None:
        """Close the connection and end all subscriptions; their iterators end without an error."""
        for errand in self._errands:
            errand.cancel()
        await self._keeper.stop()
        if self._errands:
            await asyncio.wait(self._errands)

    async def subscribe_features(
        self, layer: str | None = None, *, subscription_id: str | None = None, **options: Unpack[FeatureOptions]
    ) -> FeatureSubscription:
        """Subscribe to a layer, or to every readable layer. Raises RequestRefused."""
        subscription = FeatureSubscription(self, subscription_id or uuid.uuid4().hex, layer, features_to_wire(options))
        await self._subscribe(subscription)
        return subscription

    async def subscribe_events(
        self, event_types: Iterable[str], *, subscription_id: str | None = None, **options: Unpack[EventOptions]
    ) -> EventSubscription:
        """Subscribe to events of these types: file_change, processing_status, error, progress, custom, alert. Raises RequestRefused."""
        id = subscription_id or uuid.uuid4().hex
        subscription = EventSubscription(self, id, tuple(event_types), to_wire(options), self._max_waiting_events)
        await self._subscribe(subscription)
        return subscription

    async def subscribe_tiles(
        self, bbox: BBox, zooms: Zooms, *, subscription_id: str | None = None, **options: Unpack[TileOptions]
    ) -> TileSubscription:
        """Subscribe to the tiles of a box (degrees; west > east crosses the antimeridian) in some zooms. Raises RequestRefused."""
        defaults = {"tileset": None, "delta": True, "data_encoding": self._data_encoding}
        wire = tiles_to_wire({**defaults, **options, "bbox": bbox, "zooms": zooms})
        subscription = TileSubscription(self, subscription_id or uuid.uuid4().hex, wire)
        await self._subscribe(subscription)
        return subscription

    def feature_stream(self) -> AsyncIterator[FeatureChange]:
        """The changes of all present feature subscriptions, for programs that do not iterate over each of them."""
        return merged([each for each in self._subscriptions.values() if isinstance(each, FeatureSubscription)])

    def event_stream(self) -> AsyncIterator[Event]:
        """The events of all present event subscriptions, in the same way."""
        return merged([each for each in self._subscriptions.values() if isinstance(each, EventSubscription)])

    def tile_stream(self) -> AsyncIterator[Tile]:
        """The tiles of all present tile subscriptions, in the same way."""
        return merged([each for each in self._subscriptions.values() if isinstance(each, TileSubscription)])

    def message_stream(self) -> AsyncIterator[FeatureChange | Event | Tile]:
        """The changes, events and tiles of all present subscriptions, in the same way."""
        present: Iterable[AsyncIterator[FeatureChange | Event | Tile]] = self._subscriptions.values()
        return merged(present)

    async def unsubscribe(self, subscription: AnySubscription | str) -> None:
        """End a subscription, given itself or its id; its iterator ends."""
        found = self._subscriptions.get(subscription) if isinstance(subscription, str) else subscription
        if found is None or found.closed:
            return
        found._end(drop=True)
        self._subscriptions.pop(found.id, None)
        if self._keeper.live is not None:
            await self._dismiss(self._keeper.live, found.id)

    async def update(self, subscription: FeatureSubscription | TileSubscription, wire: Mapping[str, Any]) -> None:
        """Change a subscription's conditions, in their form on the wire: what a subscription's own `update` calls."""

        def message() -> Message:
            if subscription.closed:
                raise RequestRefused("unknown_subscription", "the subscription has ended")
            return subscription._update_request(wire)

        def answered(answer: Any, awaited: bool) -> None:
            subscription._updated(answer, wire)
            demand_success(answer)

        await self._request(subscription.id, message, answered)

    async def ping(self) -> float:
        """The seconds a message takes to the server's program and back."""
        session = await self._keeper.session()
        return await session.ping()

    async def list_subscriptions(self) -> list[SubscriptionInfo]:
        """The subscriptions of this connection as the server knows them."""
        id = next(self._request_ids)
        answer = await self._request(id, lambda: ListSubscriptions(id), lambda answer, _: demand_success(answer))
        found: list[SubscriptionInfo] = answer.subscriptions
        return found

    async def authenticate(self, token: str) -> None:
        """Log in, or renew the login, on the open connection; later connections use this token. Raises RequestRefused."""
        id = next(self._request_ids)
        await self._request(id, lambda: Authenticate(token, id), lambda answer, _: demand_success(answer))
        self._token = token

    async def _request(self, name: str, message: Callable[[], Message], answered: Answered) -> Any:
        """The answer to a request that is repeated if the connection breaks before it is answered."""
        while True:
            session = await self._keeper.session()
            try:
                return await session.request(name, message(), answered)
            except ConnectionLost as lost:
                logger.debug("the connection broke before the answer to %s: %s", name, lost)

    async def _subscribe(self, subscription: AnySubscription) -> None:
        if subscription.id in self._subscriptions:
            raise RequestRefused("duplicate_subscription", f"there is a subscription with the id {subscription.id!r}")
        try:
            await self._request(subscription.id, subscription._request, partial(self._subscribed, subscription))
        except (asyncio.CancelledError, RequestTimedOut):
            subscription._end(drop=True)
            if self._subscriptions.pop(subscription.id, None):
                self._dismiss_soon(subscription.id)
            raise

    def _subscribed(self, subscription: AnySubscription, answer: Any, awaited: bool) -> None:
        demand_success(answer)
        if awaited and not subscription.closed:
            self._subscriptions[subscription.id] = subscription
            subscription._accepted(answer)
        else:
            self._dismiss_soon(subscription.id)

    def _dismiss_soon(self, id: str) -> None:
        if self._keeper.live is not None:
            self._run(self._dismiss(self._keeper.live, id))

    def _renew(self, subscription: FeatureSubscription | TileSubscription) -> None:
        if self._keeper.live is not None:
            self._run(self._subscribe_anew(self._keeper.live, subscription))

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        errand = asyncio.create_task(coroutine)
        self._errands.add(errand)
        errand.add_done_callback(self._errands.discard)

    async def _subscribe_anew(self, session: Session, subscription: FeatureSubscription | TileSubscription) -> None:
        """End a subscription and take it up again; if that fails, on another connection."""
        try:
            async with subscription.exchange:
                await session.request(subscription.id, Unsubscribe(subscription.id), lambda *_: None)
                await self._resubscribe(session, subscription)
        except ClientError as error:
            await session.close(error)

    async def _dismiss(self, session: Session, id: str) -> None:
        """Make the server forget a subscription; with the connection it forgets it anyway."""
        with contextlib.suppress(ClientError):
            await session.request(id, Unsubscribe(id), lambda *_: None)

    async def open_session(self) -> Session:
        """A new connection: what the keeper calls."""
        link = await self._endpoint.open(await self._present_token())
        return Session(link, self._subscriptions, self._message_timeout, self._offered_dictionary)

    async def _present_token(self) -> str | None:
        token = self._token() if callable(self._token) else self._token
        return await token if inspect.isawaitable(token) else token

    def _offered_dictionary(self, session: Session, offered: LayerDictionary) -> None:
        if self._endpoint.dictionaries is not None:
            self._run(self._take_dictionary(session, self._endpoint.dictionaries, offered))

    async def _take_dictionary(self, session: Session, held: HeldDictionaries, offered: LayerDictionary) -> None:
        """Fetch a dictionary and have messages compressed with it; without it they come as before."""
        try:
            await held.take(offered, await self._present_token())
            await session.tell(held.message())
        except (ClientError, DictionaryUnavailable) as error:
            logger.info("messages of layer %s are not compressed with its dictionary: %s", offered.layer, error)

    def resumptions(self, session: Session) -> list[Coroutine[Any, Any, None]]:
        """What is to be done on a new connection before anything else: what the keeper calls."""
        return [self._resubscribe(session, subscription) for subscription in self._subscriptions.values()]

    async def _resubscribe(self, session: Session, subscription: AnySubscription) -> None:
        if subscription.closed:
            return
        try:
            await session.request(subscription.id, subscription._request(), partial(self._subscribed, subscription))
        except RequestRefused as refusal:
            if refusal.retry:
                raise
            self._subscriptions.pop(subscription.id, None)
            subscription._end(refusal)

    def interrupted(self) -> None:
        """The connection is gone: what the keeper calls."""
        for subscription in self._subscriptions.values():
            subscription._interrupted()

    def finished(self, error: BaseException | None) -> None:
        """There will be no connection any more: what the keeper calls."""
        for subscription in self._subscriptions.values():
            subscription._end(error)
        self._subscriptions.clear()
