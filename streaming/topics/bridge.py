"""The bridge to Redis: backends in any language publish `to:<topic>:<event>` and receive `from:<topic>:<event>`.

Payloads pass as they are, byte for byte. What channel code of one process broadcasts takes another channel, on which events may be called
anything. Tokens never get here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from streaming.core.bus import Arrival, Bus
from streaming.core.errors import StreamError
from streaming.core.json_decoding import decode_json
from streaming.engine.conf import conf

from .channel import Channel, Push, Reply
from .history_store import is_command
from .messages import TopicMessage
from .names import check_event, is_allowed_event, matches_any
from .push_replies import Envelopes
from .rooms import Member, Rooms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .history import History

logger = logging.getLogger(__name__)

BROADCAST_CHANNEL = "geostream:broadcast"
_unpack = msgspec.msgpack.Decoder(tuple[str, str, bytes, bool, str | None]).decode


def packed_broadcast(topic: str, event: str, payload: bytes, binary: bool, without: str | None = None) -> bytes:
    """A broadcast as it travels between processes."""
    return msgspec.msgpack.encode((topic, event, payload, binary, without))


class Bridge:
    """One process's side of the bridge."""

    def __init__(self, bus: Bus, rooms: Rooms, node: str, history: History | None = None) -> None:
        self._bus = bus
        self._rooms = rooms
        self._history = history
        self._envelopes = Envelopes(bus, node)
        bus.on_pattern("to:*", self._arrived)
        bus.on_channel(BROADCAST_CHANNEL, self._broadcasts)

    # -- to clients --------------------------------------------------------

    def _arrived(self, arrivals: Sequence[Arrival]) -> Iterator[None]:
        return self._rooms.pieces(list(self._messages(arrivals)))

    def _messages(self, arrivals: Sequence[Arrival]) -> Iterable[TopicMessage]:
        rooms, history = self._rooms.rooms, self._history
        for channel, payload in arrivals:
            try:
                topic, _, event = channel[3:].decode().rpartition(":")
            except UnicodeDecodeError:
                continue
            if history is not None and history.takes(topic, event, payload):
                continue
            if payload and topic in rooms and is_allowed_event(event):
                yield TopicMessage(topic, event, payload, not is_json(payload))

    def _broadcasts(self, arrivals: Sequence[Arrival]) -> Iterator[None]:
        messages = []
        for arrival in arrivals:
            try:
                topic, event, payload, binary, without = _unpack(arrival.payload)
            except msgspec.MsgspecError:
                logger.warning("not a broadcast of GeoStream on %s", BROADCAST_CHANNEL)
                continue
            messages.append(TopicMessage(topic, event, payload, binary, without))
        return self._rooms.pieces(messages)

    async def broadcast(self, topic: str, event: str, payload: bytes, binary: bool, without: str | None = None) -> None:
        """Send an event to all members of a topic, in every process. `StreamError` if Redis does not take it."""
        check_event(event)
        if self._history is not None and self._history.keeps(topic) and not is_command(event):
            await self._history.publish(TopicMessage(topic, event, payload, binary, without))
            return
        await self._bus.publish(BROADCAST_CHANNEL, packed_broadcast(topic, event, payload, binary, without))

    def announce(self, topic: str, event: str, payload: Any) -> None:
        """Publish an event as a backend would: to all members of a topic, and to other backends. May be lost while Redis is away."""
        self._bus.publish(f"to:{topic}:{event}", msgspec.json.encode(payload))

    # -- from clients ------------------------------------------------------

    def push(self, channel: Channel, push: Push) -> asyncio.Future[Reply]:
        """Hand a client's push to the backends. The future is the answer to the client. `StreamError` if the event has no name for them."""
        check_event(push.event)
        if ":" in push.event:
            raise StreamError("bad_request", "events of this topic may not contain ':'")
        published = self._bus.publish(f"from:{channel.topic}:{push.event}", push.raw)
        if conf.PUSH_ENVELOPES and matches_any(conf.PUSH_ENVELOPES, channel.topic):
            return self._envelopes.send(channel, push)
        return _acknowledged(published)

    def joined(self, member: Member) -> None:
        """Notify the backends, if `GEOSTREAM_BRIDGE_JOINS` is on."""
        if conf.BRIDGE_JOINS:
            self._bus.publish(f"from:{member.topic}:phx_join", msgspec.json.encode({"id": member.id, "user": member.key}))

    def left(self, member: Member) -> None:
        """Notify the backends, if `GEOSTREAM_BRIDGE_JOINS` is on."""
        if conf.BRIDGE_JOINS:
            self._bus.publish(f"from:{member.topic}:phx_leave", msgspec.json.encode({"id": member.id, "user": member.key}))


def is_json(payload: bytes) -> bool:
    """Whether clients are given a payload as JSON: an object or an array, from its first byte. All else is binary."""
    if payload[:1] not in (b"{", b"["):
        return False
    try:
        decode_json(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _acknowledged(published: asyncio.Future[int]) -> asyncio.Future[Reply]:
    answer: asyncio.Future[Reply] = published.get_loop().create_future()

    def done(outcome: asyncio.Future[int]) -> None:
        if not answer.done():
            answer.set_result(refusal(outcome) or Reply())

    published.add_done_callback(done)
    return answer


def refusal(outcome: asyncio.Future[int]) -> Reply | None:
    """The answer to a push that Redis did not take."""
    error = None if outcome.cancelled() else outcome.exception()
    if error is None:
        return None
    return Reply("error", {"reason": error.code if isinstance(error, StreamError) else "internal"})
