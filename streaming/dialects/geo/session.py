"""The session of one client of the geo protocol: its encoding, its requests and its subscriptions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import DatabaseError

from streaming.core.arrivals import arrivals
from streaming.core.deliveries import Frames
from streaming.core.errors import CloseCode, StreamError
from streaming.core.json_decoding import INLINE_BYTES
from streaming.core.view import View
from streaming.engine.auth import from_token
from streaming.engine.conf import conf
from streaming.engine.work import WorkQueue

from .codec import DecodeError, Encoding, decode, decoded_size, encode, is_text, negotiate
from .encoding import JSON_TEXT
from .event_subscription import EventSubscription
from .feature_request import FeatureRequest
from .feature_subscription import FeatureSubscription
from .messages import (
    Ack,
    Authenticate,
    Compression,
    Error,
    Handshake,
    ListSubscriptions,
    Message,
    Ping,
    Pong,
    SubscribeEvents,
    SubscribeFeatures,
    SubscribeTiles,
    Subscriptions,
    Unsubscribe,
    UpdateSubscription,
    UseDictionaries,
    reply_id,
    type_of,
)
from .subscription import Subscription
from .tile_notice_subscription import TileNoticeSubscription
from .tile_request import wants_notices, with_tileset
from .tile_subscription import TileSubscription

if TYPE_CHECKING:
    from streaming.engine.websocket import WebSocketConnection
    from streaming.tiles.tile_viewport import SendWindow

    from .dictionary_use import DictionaryUse

logger = logging.getLogger(__name__)

MAX_ID = 200
"""Characters of a subscription id."""
REVIEW_RETRY_SECONDS = 5.0
START_SECONDS = 0.05
"""How long later requests wait for one that starts a subscription."""


class GeoSession:
    """One client. Its requests are handled one after the other, in the order in which they were received."""

    dialect: ClassVar[str] = "geo"

    def __init__(self, connection: WebSocketConnection) -> None:
        self.connection = connection
        self.runtime = connection.runtime
        self.outbox = connection.outbox
        self.framing = connection.sender.framing
        self.encoding = JSON_TEXT
        self.spare_pings = False
        self.revision = 0
        self.subscriptions: dict[str, Subscription] = {}
        self.dictionaries: DictionaryUse | None = None
        """Of a client that asked for compression with dictionaries."""
        self.handling = "message"
        """The type of the message that is handled."""
        self._has_received = False
        self._bad_frames = 0
        self._starting: dict[str, asyncio.Task[None]] = {}
        """By the id of the subscription."""
        self._reviewing: asyncio.Task[None] | None = None
        self._review_due = False

    @property
    def user(self) -> Any:
        """The client's user."""
        return self.connection.principal.user

    @property
    def address(self) -> str:
        """Where the client is."""
        return self.connection.address

    @property
    def format(self) -> str:
        """How messages are written."""
        encoding = self.encoding
        parts = [encoding.format.value, *(["positional"] if encoding.positional else [])]
        return ", ".join(parts if encoding.compression is Compression.NONE else [*parts, encoding.compression.value])

    @cached_property
    def tile_window(self) -> SendWindow:
        """What all tile subscriptions of the client may have under way together."""
        from streaming.tiles.tile_viewport import SendWindow  # late, because most clients have no tiles

        return SendWindow()

    async def receive(self, data: str | bytes) -> None:
        """Handle one frame."""
        try:
            message, received_in = await self._decoded(data)
        except DecodeError as error:
            self._refuse_frame(error)
            return
        self._adopt_encoding(message, received_in)
        self.handling = type_of(type(message))
        await self._answer(message, self._handle(message, received_in))

    async def _decoded(self, data: str | bytes) -> tuple[Message, Encoding]:
        """The message in a frame; one that is large, or may be once it is decompressed, is decoded in a thread."""
        limits: Any = {"max_size": conf.MAX_MESSAGE_BYTES, "max_decompressed": conf.MAX_DECOMPRESSED_BYTES, "strict": True}
        if decoded_size(data) <= INLINE_BYTES:
            return decode(data, **limits)
        return await self.runtime.service(WorkQueue).run(self.outbox, decode, data, **limits)

    async def _answer(self, message: Message, handling: Awaitable[None]) -> None:
        """Handle a message; a refusal is answered."""
        try:
            await handling
        except DatabaseError as error:
            logger.error("a request could not be answered: %s", error)
            self.refuse(StreamError("internal", "the database does not answer; try again"), reply_id(message), ack=True)
        except StreamError as error:
            self.refuse(error, reply_id(message), ack=not isinstance(message, Handshake))
            if error.code == "unsupported_version":
                self.connection.close(CloseCode.BAD_PROTOCOL, error.message)

    def send(self, message: Message, encoding: Encoding | None = None) -> None:
        """Queue a message: one that belongs to a request or a subscription, behind what waits of that; any other one, before everything."""
        self.outbox.send(*self._pack(message, encoding or self.encoding), lane=reply_id(message))

    def frames(self, message: Message) -> Frames:
        """A message for a place in the outbox that was reserved for it."""
        return Frames(self._pack(message, self.encoding))

    def refuse(self, error: StreamError, request_id: str | None, ack: bool = False) -> None:
        """Send the reason why a request, or what belongs to it, is refused: as a negative `ack` or as an `error`."""
        if ack and request_id is not None:
            self.send(Ack(request_id=request_id, success=False, message=error.message, code=error.code))
        else:
            self.send(Error(code=error.code, message=error.message, request_id=request_id))

    def forget(self, subscription_id: str) -> None:
        """Remove a subscription that has ended."""
        self.subscriptions.pop(subscription_id, None)
        self.revision += 1

    def expire(self, reason: StreamError) -> None:
        """Send the reason for which the connection is about to be closed."""
        self.refuse(reason, None)

    def describe(self) -> list[dict[str, Any]]:
        """The subscriptions, for the admin."""
        return [
            {
                "id": subscription.id,
                "kind": subscription.kind,
                "since": subscription.since,
                "waiting": subscription.waiting,
                "dropped": subscription.dropped,
                **subscription.describe(),
            }
            for subscription in self.subscriptions.values()
        ]

    def views(self, subscription_id: str) -> Mapping[str, View]:
        """Those of features."""
        subscription = self.subscriptions.get(subscription_id)
        return subscription.views if isinstance(subscription, FeatureSubscription) else {}

    def tick(self, now: float) -> None:
        """Nothing in a session depends on the time."""

    def access_changed(self) -> None:
        """Review the subscriptions, because layers, tilesets or the user have changed."""
        self._review_due = True
        if self.subscriptions and self._reviewing is None:
            self._reviewing = asyncio.create_task(self._review())

    def close(self) -> None:
        """Stop all subscriptions."""
        if self._reviewing is not None:
            self._reviewing.cancel()
        for starting in self._starting.values():
            starting.cancel()
        for subscription in self.subscriptions.values():
            subscription.stop()
        self.subscriptions.clear()
        if self.dictionaries is not None:
            self.dictionaries.close()
            self.dictionaries = None
        del self.connection  # each has the other

    def compress_anew(self) -> None:
        """Have the messages of all subscriptions compressed with the newest dictionaries that the client holds."""
        for subscription in self.subscriptions.values():
            if isinstance(subscription, FeatureSubscription):
                subscription.use_dictionaries()

    def _pack(self, message: Message, encoding: Encoding) -> list[Any]:
        return self.framing.pack([encode(message, encoding)], is_text(encoding))

    async def _review(self) -> None:
        try:
            while self._review_due:
                self._review_due = False
                for subscription in list(self.subscriptions.values()):
                    await subscription.review()
        except (DatabaseError, StreamError) as error:
            logger.warning("subscriptions could not be reviewed and will be: %s", error)
            asyncio.get_running_loop().call_later(REVIEW_RETRY_SECONDS, self.access_changed)
        finally:
            self._reviewing = None

    def _adopt_encoding(self, message: Message, received_in: Encoding) -> None:
        """Answer in the encoding of the first frame, and in stored zstd if any frame shows that the peer needs it."""
        if not self._has_received:
            self._has_received = True
            self.revision += received_in != self.encoding
            self.encoding = received_in
            is_compressed = received_in.compression is Compression.ZSTD
            self.spare_pings = isinstance(message, Handshake) and received_in.positional and is_compressed
        elif received_in.stored_zstd and self.encoding.compression is Compression.ZSTD:
            self.encoding = replace(self.encoding, stored_zstd=True)

    def _refuse_frame(self, error: DecodeError) -> None:
        if not self._has_received and error.encoding is not None:
            self.encoding = error.encoding
        self.refuse(error, error.request_id, ack=True)
        self._bad_frames += 1
        if self._bad_frames >= conf.MAX_BAD_FRAMES:
            self.connection.close(CloseCode.BAD_PROTOCOL, "too many messages that could not be read")

    async def _handle(self, message: Message, received_in: Encoding) -> None:
        await self._started(message)
        match message:
            case Ping():
                self.send(Pong(message.id))
            case Pong():
                pass
            case SubscribeFeatures():
                self._check_new(message.subscription_id)
                await self._begin(message, self._subscribe_features(message))
            case SubscribeEvents():
                self._check_new(message.subscription_id)
                await self._begin(message, self._add(EventSubscription(self, message)))
            case SubscribeTiles():
                self._check_new(message.subscription_id)
                await self._begin(message, self._subscribe_tiles(message))
            case UpdateSubscription():
                await self._update(message)
            case Unsubscribe():
                self._subscription(message.subscription_id).stop()
                self.forget(message.subscription_id)
                self.send(Ack(request_id=message.subscription_id, success=True, message="Unsubscribed"))
            case ListSubscriptions():
                infos = [subscription.info() for subscription in self.subscriptions.values()]
                self.send(Subscriptions(message.request_id, infos))
            case Authenticate():
                await self._authenticate(message)
            case UseDictionaries():
                self._use_dictionaries(message)
            case Handshake():
                ack, agreed = negotiate(message, received_in)
                self.send(ack, received_in)
                self.revision += agreed != self.encoding
                self.encoding = agreed
            case _:
                raise StreamError("unsupported_type", f"{type_of(type(message))!r} messages are not accepted here")

    def _check_new(self, subscription_id: str) -> None:
        if subscription_id in self.subscriptions:
            raise StreamError("duplicate_subscription", f"this connection already has a subscription {subscription_id[:100]!r}")
        if len(self.subscriptions) + len(self._starting) >= conf.MAX_SUBSCRIPTIONS:
            raise StreamError("too_many_subscriptions", f"a connection may have {conf.MAX_SUBSCRIPTIONS} subscriptions")
        if len(subscription_id) > MAX_ID:
            raise StreamError("bad_request", f"a subscription_id may have {MAX_ID} characters")
        if "\0" in subscription_id:
            raise StreamError("bad_request", "a subscription_id may not contain NUL")

    async def _begin(self, message: SubscribeFeatures | SubscribeEvents | SubscribeTiles, starting: Coroutine[Any, Any, None]) -> None:
        """Start a subscription, when it is its turn. If that takes long, because its layer is large, later requests do not wait for it."""
        task = asyncio.create_task(self._answer(message, arrivals.begin(starting)))
        self._starting[message.subscription_id] = task
        task.add_done_callback(lambda done: self._begun(message.subscription_id, done))
        await asyncio.wait((task,), timeout=START_SECONDS)

    def _begun(self, subscription_id: str, task: asyncio.Task[None]) -> None:
        del self._starting[subscription_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a subscription could not be started", exc_info=error)
            self.expire(StreamError("internal", "the server failed to start a subscription"))

    async def _started(self, message: Message) -> None:
        """Wait for the subscription that a message is about, if it is being started."""
        starting = self._starting.get(getattr(message, "subscription_id", ""))
        if starting is not None:
            await asyncio.wait((starting,))

    async def _subscribe_features(self, message: SubscribeFeatures) -> None:
        await self._add(FeatureSubscription(self, await FeatureRequest.check(message)))

    async def _subscribe_tiles(self, message: SubscribeTiles) -> None:
        message = await with_tileset(message, self.user)
        await self._add((TileNoticeSubscription if wants_notices(message) else TileSubscription)(self, message))

    def _use_dictionaries(self, message: UseDictionaries) -> None:
        from .dictionary_service import Dictionaries  # late, because most clients ask for none
        from .dictionary_use import DictionaryUse

        if self.encoding.positional:
            raise StreamError("bad_request", "there are no dictionaries for positional MessagePack")
        if self.dictionaries is None:
            self.dictionaries = DictionaryUse(self.runtime.service(Dictionaries), self)
        self.dictionaries.hold(message.ids)
        self.compress_anew()

    async def _add(self, subscription: Subscription) -> None:
        await subscription.start()
        self.subscriptions[subscription.id] = subscription
        if self.dictionaries is not None and isinstance(subscription, FeatureSubscription):
            subscription.use_dictionaries()  # which one is in use may have changed since it started
        self.revision += 1
        self.access_changed()  # layers may have come or gone before the subscription was listed

    def _subscription(self, subscription_id: str) -> Subscription:
        subscription = self.subscriptions.get(subscription_id)
        if subscription is None:
            raise StreamError("unknown_subscription", f"this connection has no subscription {subscription_id[:100]!r}")
        return subscription

    async def _update(self, message: UpdateSubscription) -> None:
        subscription = self._subscription(message.subscription_id)
        await subscription.update(message)
        self.revision += 1

    async def _authenticate(self, message: Authenticate) -> None:
        self.runtime.connections.reassign(self.connection, await from_token(message.token))
        self.revision += 1
        self.send(Ack(request_id=reply_id(message) or "authenticate", success=True, message="Authenticated"))
        self.access_changed()
