"""Channels: the code behind topics. A subclass decides who may join and what happens with what clients push.

One channel object serves one join of one client. Its methods are called one after the other; what takes long belongs in a task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec

from streaming.core.errors import StreamError
from streaming.core.json_decoding import decode_json
from streaming.core.json_depth import most_values
from streaming.core.view import View
from streaming.engine.conf import conf
from streaming.engine.token_times import InvalidClaim

from .rooms import Member, SlowPolicy
from .tokens import Claims, verify

if TYPE_CHECKING:
    from streaming.engine.client_connection import ClientConnection

    from .service import Topics


class Refused(Exception):
    """A join that is not allowed. `reason` reaches the client; further keys may add details."""

    def __init__(self, reason: str = "unauthorized", **more: Any) -> None:
        super().__init__(reason)
        self.response: dict[str, Any] = {"reason": reason, **more}


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a push: JSON, or bytes for a binary answer. `then` is called once it is sent, before any other message."""

    status: Literal["ok", "error"] = "ok"
    response: Any = field(default_factory=dict)
    then: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """The channel ends, after an answer if there is one."""

    reply: Reply | None = None


class Push:
    """What a client pushed: an event and the bytes of its payload, exactly as they came."""

    __slots__ = ("binary", "event", "raw", "ref")

    def __init__(self, event: str, raw: bytes, binary: bool, ref: Any) -> None:
        self.event = event
        self.raw = raw
        self.binary = binary
        self.ref = ref

    @property
    def payload(self) -> Any:
        """The payload as Python sees it: bytes if it is binary, else the decoded JSON.

        `StreamError` for numbers beyond Python's, and for more values than may be decoded.
        """
        return self.raw if self.binary else decoded(self.raw)


class Channel:
    """What a topic does for one client. Override `join` and `handle_in`, and what else is needed."""

    presence: ClassVar[bool | Literal["count"]] = False
    """Whether members are tracked and receive the list of each other; "count": only how many there are."""
    slow: ClassVar[SlowPolicy | dict[str, SlowPolicy]] = "close"
    """What happens to a client that reads too slowly: "close" it, "drop" the oldest, keep the "latest"; one for all, or for each event."""

    keeps_history: ClassVar[bool] = False
    """Whether messages on topics that `GEOSTREAM_TOPIC_HISTORY` names are kept for clients that come back."""

    notices_gaps: ClassVar[bool] = True
    """Whether members receive `gap` where messages of Redis may be missing: not if nothing that is published there reaches them."""

    def __init__(self, topic: str, subtopic: str, member: Member, connection: ClientConnection, topics: Topics) -> None:
        self.topic = topic
        self.subtopic = subtopic
        self.member = member
        self.connection = connection
        self.topics = topics
        self.claims: Claims | None = None
        self.warned: Claims | None = None
        self._ended: StreamError | None = None

    @property
    def user(self) -> Any:
        """The Django user, or `AnonymousUser`."""
        return self.connection.principal.user

    # -- to override -------------------------------------------------------

    async def join(self, params: dict[str, Any]) -> dict[str, Any] | None:
        """May this client join? Raise `Refused` if not. What is returned is in the reply."""
        return None

    async def joined(self) -> None:
        """Called once the client has the reply to its join."""

    async def handle_in(self, event: str, payload: Any) -> Reply | Stop | None:
        """A push of the client. None: no answer. An exception ends the channel with `phx_error`, and the client joins again."""
        raise LookupError(f"no handler of {event!r} on {self.topic!r}")

    async def leave(self) -> None:
        """The client has left, or is gone."""

    # -- for subclasses ----------------------------------------------------

    def authorize(self, params: dict[str, Any]) -> Claims:
        """The claims of the client's channel token, which must open this topic. `Refused` without one."""
        token = self._token(params)
        if token is None:
            raise Refused
        try:
            claims = verify(token)
        except StreamError as error:
            raise Refused("unauthorized", **token_detail(error)) from error
        if not claims.opens(self.topic):
            raise Refused
        if self._ended is not None:
            raise Refused("unauthorized", detail=self._ended.message)
        self.claims = claims
        return claims

    def push(self, event: str, payload: Any) -> None:
        """Send an event to this client alone."""
        data, binary = packed(payload)
        self.member.push(event, data, binary)

    async def broadcast(self, event: str, payload: Any) -> None:
        """Send an event to all members of the topic, in every process, this client too."""
        data, binary = packed(payload)
        await self.topics.bridge.broadcast(self.topic, event, data, binary)

    async def broadcast_from(self, event: str, payload: Any) -> None:
        """Send an event to all members of the topic but this client."""
        data, binary = packed(payload)
        await self.topics.bridge.broadcast(self.topic, event, data, binary, without=self.member.id)

    def track(self, key: str, meta: dict[str, Any] | None = None) -> None:
        """Show this client to the others under a key, with whatever else they should know."""
        self.member.key = key
        self.topics.presence.join(self.member, key, meta or {})

    def update(self, meta: dict[str, Any]) -> None:
        """Show something else about this client."""
        self.topics.presence.update(self.member, meta)

    def untrack(self) -> None:
        """Do not show this client any more."""
        self.topics.presence.leave(self.member)

    # -- for the engine ----------------------------------------------------

    async def look_up_login(self, params: dict[str, Any]) -> None:
        """Find out, before `join`, what `authorize` needs to know of the login that the client's token rests on."""
        token = self._token(params)
        try:
            claims = verify(token) if token is not None else None
        except StreamError:
            return  # `authorize` refuses it
        if claims is not None and claims.login is not None and claims.opens(self.topic):
            try:
                await self.topics.token_logins.check(claims)
            except StreamError as error:
                self._ended = error

    async def receive(self, push: Push) -> Reply | Stop | asyncio.Future[Reply] | None:
        """A push as it came; the answer may take its time. `handle_in` is enough for most."""
        return await self.handle_in(push.event, push.payload)

    def _token(self, params: dict[str, Any]) -> str | None:
        token = params.get("token")
        return token if isinstance(token, str) else self.connection.channel_token

    def policy(self, event: str) -> SlowPolicy:
        """What becomes of an event that a slow client cannot take."""
        return self.slow if isinstance(self.slow, str) else self.slow.get(event, "close")

    def refresh(self) -> None:
        """What the user may read may have changed."""

    def describe(self) -> dict[str, Any]:
        """What the admin shows: `kind`, `feed` and `filter`, in which nothing secret may be."""
        return {"kind": "channel", "feed": self.topic, "filter": {}}

    def views(self) -> Mapping[str, View]:
        """By layer, the views of feeds with a state that it consists of: operators can see what the client holds."""
        return {}


def token_detail(error: StreamError) -> dict[str, str]:
    """What a client is sent about a token that is refused: nothing about one that was not made with our key."""
    if error.code == "token_expired":
        return {"detail": "token expired"}
    return {"detail": error.message} if isinstance(error, InvalidClaim) else {}


def decoded(payload: bytes) -> Any:
    """The JSON of a client. `StreamError("too_large")` for more values than can be decoded while others wait, or `bad_request`."""
    if most_values(payload) > conf.PAYLOAD_VALUES:
        raise StreamError("too_large", f"a payload may have {conf.PAYLOAD_VALUES} values")
    try:
        return decode_json(payload)
    except msgspec.ValidationError as error:
        raise StreamError("bad_request", f"the payload cannot be read: {error}") from error


def packed(payload: Any) -> tuple[bytes, bool]:
    """The bytes of a payload, and whether they are binary. `TypeError` if it is neither bytes nor JSON."""
    if isinstance(payload, bytes | bytearray | memoryview):
        return bytes(payload), True
    return msgspec.json.encode(payload), False
