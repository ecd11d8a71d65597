"""Rooms: the members that this process has on each topic, and how messages are delivered to them.

A batch of messages is encoded once for all members with the same encoder, and sent to some of them at a time. A member that reads slowly
has a queue of its own, which holds nothing but references to what all share; what happens when the queue is full is the policy of the
channel.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, Protocol

from streaming.core.outbox import Outbox
from streaming.core.runs import PIECE_SECONDS, Run, RunQueue
from streaming.core.turns import Turns

from .messages import PrivateMessage, TopicMessage

if TYPE_CHECKING:
    from streaming.engine.logins import Login

    from .channel import Channel

logger = logging.getLogger(__name__)

_DONE = object()

SlowPolicy = Literal["close", "drop", "latest"]
"""What happens when a member reads too slowly: it is closed, or its oldest messages are dropped, or all but the latest."""
_ALWAYS: dict[str, SlowPolicy] = {"presence_state": "close", "presence_diff": "close", "presence_count": "latest"}
"""A lost difference would spoil the client's list."""


class TopicEncoder(Protocol):
    """Turns messages into what a sender writes. There is one of each variant, so that it can stand for what it has encoded."""

    def broadcast(self, batch: Sequence[TopicMessage]) -> list[Any]:
        """The finished frames of a batch, the same for every member."""

    def push(self, member: Member, message: TopicMessage) -> list[Any]:
        """The finished frames of a message for one member."""


Encoded = dict[TopicEncoder, list[Any]]
"""The frames of a batch, by encoder."""


class Member:
    """One join of one client. `join_ref` is how the client calls it; `key` is who is shown to the others."""

    __slots__ = ("channel", "delivered", "encoder", "id", "join_ref", "key", "login", "outbox", "queue", "room", "since")

    def __init__(
        self, member_id: str, topic: str, outbox: Outbox, encoder: TopicEncoder, join_ref: Any, channel: Channel | None = None
    ) -> None:
        self.id = member_id
        self.join_ref = join_ref
        self.outbox = outbox
        self.encoder = encoder
        self.channel = channel
        self.key = ""
        self.login: Login | None = None
        """What its channel token rests on."""
        self.room: Room | None = None
        self.since = time.time()
        self.delivered = 0
        self.queue = MemberQueue(self, topic)

    @property
    def topic(self) -> str:
        """What this is a member of, also after leaving."""
        return self.queue.topic

    def push(self, event: str, payload: bytes, binary: bool = False) -> None:
        """Send a message to this member alone, behind what waits."""
        if self.room is not None:
            self.room.catch_up(self)
        message = PrivateMessage(self.topic, event, payload, binary)
        if len(self.queue):
            self.queue.add(message)
        else:
            self.outbox.send(*self.encoder.push(self, message))

    def deliver(self, batch: Sequence[TopicMessage], encoded: Encoded) -> None:
        """Send the messages of one turn, now or when the socket takes them."""
        outbox = self.outbox
        if not outbox.idle:
            self.queue.push(batch)
            return
        frames = encoded.get(self.encoder)
        if frames is None:
            frames = encoded[self.encoder] = self.encoder.broadcast(batch)
        self.delivered += len(batch)
        outbox.sent += len(batch)
        if frames:
            outbox.sender.write(frames)


class MemberQueue:
    """What waits for a member whose socket is busy: a source of its outbox."""

    __slots__ = ("_member", "_size", "_waiting", "dropped", "owner", "topic")

    MESSAGE_BYTES = 100

    def __init__(self, member: Member, topic: str) -> None:
        self._member = member
        self.topic = topic
        self.owner: object = member
        self._waiting: deque[TopicMessage] = deque()
        self._size = 0
        self.dropped = 0

    @property
    def size(self) -> int:
        """Bytes that wait, roughly."""
        return self._size

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, batch: Iterable[TopicMessage]) -> None:
        """Add messages, newest last; those that their policy lets go are counted."""
        was_waiting = bool(self._waiting)
        channel = self._member.channel
        for message in batch:
            policy = _ALWAYS.get(message.event) or ("close" if channel is None else channel.policy(message.event))
            if policy == "latest":
                self._drop_earlier(message.event)
            self.add(message)
            if policy == "drop" and len(self._waiting) > self._member.outbox.limits.events:
                self._drop_first(message.event)
        if self._waiting and not was_waiting:
            self._member.outbox.put(self)

    def add(self, message: TopicMessage) -> None:
        """Add a message that no policy lets go, behind others that wait."""
        self._waiting.append(message)
        self._size += self.MESSAGE_BYTES + len(message.payload)

    def take(self, limit: int) -> list[Any]:
        """Remove and encode about `limit` bytes' worth from the front."""
        piece: list[TopicMessage] = []
        while self._waiting and limit > 0:
            message = self._waiting.popleft()
            self._size -= self.MESSAGE_BYTES + len(message.payload)
            limit -= self.MESSAGE_BYTES + len(message.payload)
            piece.append(message)
        self._member.delivered += len(piece)
        return self._encoded(piece)

    def _encoded(self, piece: list[TopicMessage]) -> list[Any]:
        member, frames = self._member, []
        for private, group in groupby(piece, key=_is_private):
            if private:
                for message in group:
                    frames += member.encoder.push(member, message)
            else:
                frames += member.encoder.broadcast(list(group))
        return frames

    def _drop_earlier(self, event: str) -> None:
        kept = deque(message for message in self._waiting if message.event != event or _is_private(message))
        self._dropped(len(self._waiting) - len(kept))
        if len(kept) < len(self._waiting):
            self._size = sum(self.MESSAGE_BYTES + len(message.payload) for message in kept)
            self._waiting = kept

    def _drop_first(self, event: str) -> None:
        for index, message in enumerate(self._waiting):
            if message.event == event and not _is_private(message):
                del self._waiting[index]
                self._size -= self.MESSAGE_BYTES + len(message.payload)
                self._dropped(1)
                return

    def _dropped(self, count: int) -> None:
        self.dropped += count
        if count and self._member.room is not None:
            self._member.room.dropped += count


def _is_private(message: TopicMessage) -> bool:
    return type(message) is PrivateMessage


class _Batch(Run[Member]):
    """The messages of one turn for the members of a room; encoded once for all with the same encoder."""

    __slots__ = ("_encoded", "_everybody", "_messages")

    def __init__(self, messages: Sequence[TopicMessage], members: Iterable[Member]) -> None:
        super().__init__(members)
        self._messages = messages
        self._everybody = all(message.without is None for message in messages)
        self._encoded: Encoded = {}

    def deliver(self, member: Member, start: int) -> None:
        """Deliver it to one member. One for which that fails must connect again."""
        try:
            if self._everybody:
                member.deliver(self._messages, self._encoded)
            else:
                self._deliver_others(member)
        except Exception:
            logger.exception("a message on %s could not be delivered", member.topic)
            member.outbox.on_slow("a message could not be delivered; reconnect")

    def _deliver_others(self, member: Member) -> None:
        others = [message for message in self._messages if message.without != member.id]
        if len(others) == len(self._messages):
            member.deliver(others, self._encoded)
        elif others:
            member.deliver(others, {})


class Room:
    """The members that this process has on one topic."""

    __slots__ = ("_batches", "delivered", "dropped", "members", "published", "topic")

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.members: dict[str, Member] = {}
        self.published = 0
        self.delivered = 0
        self.dropped = 0
        self._batches: RunQueue[Member] = RunQueue()

    def add(self, messages: Sequence[TopicMessage], members: Collection[Member] | None = None) -> None:
        """Messages that every member, or each of some, is to be sent next (`deliver`)."""
        members = self.members.values() if members is None else members
        self.published += len(messages)
        self.delivered += len(messages) * len(members)
        self._batches.add(_Batch(messages, members))

    def deliver(self, until: float = inf) -> bool:
        """Send to one member after the other what was added, until that time; returns whether there is more."""
        return self._batches.deliver(until)

    def catch_up(self, member: Member) -> None:
        """Send to one member what was added: something else is to be sent to it."""
        self._batches.catch_up(member)

    def remove(self, member: Member) -> None:
        """The member is sent nothing any more."""
        self.members.pop(member.id, None)
        self._batches.leave(member)


class Rooms:
    """Every room of this process. A room is there while it has members. What takes long is done in `turns`; without, at once."""

    def __init__(self, turns: Turns | None = None) -> None:
        self._turns = turns
        self.rooms: dict[str, Room] = {}
        self.past_published = self.past_delivered = self.past_dropped = 0
        """Messages of rooms that are gone."""

    def get(self, topic: str) -> Room | None:
        """The room of a topic, if anybody here is on it."""
        return self.rooms.get(topic)

    def add(self, member: Member) -> Room:
        """The member receives messages from now on."""
        room = self.rooms.get(member.topic)
        if room is None:
            room = self.rooms[member.topic] = Room(member.topic)
        room.members[member.id] = member
        member.room = room
        return room

    def remove(self, member: Member) -> None:
        """The member receives nothing any more, not even what waits."""
        room = member.room
        if room is None:
            return
        member.room = None
        room.remove(member)
        member.outbox.forget(member)
        if not room.members:
            del self.rooms[room.topic]
            self.past_published += room.published
            self.past_delivered += room.delivered
            self.past_dropped += room.dropped

    def deliver(self, messages: Sequence[TopicMessage]) -> None:
        """Deliver messages to their rooms, in order: what takes long, later."""
        self._finish(self.pieces(messages))

    def deliver_to(self, room: Room, messages: Sequence[TopicMessage], members: Collection[Member]) -> None:
        """Deliver messages to some members of a room."""
        room.add(messages, members)
        self._finish(_pieces([room]))

    def pieces(self, messages: Sequence[TopicMessage]) -> Iterator[None]:
        """Deliver messages to their rooms, in order, in pieces (see `Follower.pieces`). Who is a member already receives them."""
        batches: dict[str, list[TopicMessage]] = {}
        for message in messages:
            if message.topic in self.rooms:
                batches.setdefault(message.topic, []).append(message)
        for topic, batch in batches.items():
            self.rooms[topic].add(batch)
        return _pieces([self.rooms[topic] for topic in batches])

    def _finish(self, pieces: Iterator[None]) -> None:
        def step() -> bool:
            return next(pieces, _DONE) is not _DONE

        if not step():
            return
        if self._turns is not None:
            self._turns.add(self, step, "topics")
            return
        while step():
            pass

    def member(self, member_id: str) -> Member | None:
        """A member of this process by id (`<connection>:<topic>:<join_ref>`)."""
        for room in self.rooms.values():
            if member_id in room.members:
                return room.members[member_id]
        return None


def _pieces(rooms: Iterable[Room]) -> Iterator[None]:
    until = perf_counter() + PIECE_SECONDS
    for room in rooms:
        while room.deliver(until):
            yield
            until = perf_counter() + PIECE_SECONDS
