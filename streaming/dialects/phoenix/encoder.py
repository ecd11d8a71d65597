"""Encodes the messages on a topic for members with the same protocol version and the same kind of sender.

An encoder is interned, so that such members share one, and with it the frames it has made.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from streaming.core.interning import Interned
from streaming.engine.senders import Framing

from .serializers import Serializer

if TYPE_CHECKING:
    from streaming.topics.messages import TopicMessage
    from streaming.topics.rooms import Member


class RoomEncoder(Interned[tuple[Serializer, Framing]]):
    """The `Encoder` of clients that speak one version over one kind of sender."""

    def __init__(self, variant: tuple[Serializer, Framing]) -> None:
        super().__init__(variant)
        self.serializer, self._framing = variant

    def broadcast(self, run: Sequence[TopicMessage]) -> list[Any]:
        """The same for every member: no references."""
        frames: list[Any] = []
        for binary, group in groupby(run, key=self._is_binary):
            payloads = [payload for payload in map(self._broadcast, group) if payload is not None]
            if payloads:
                frames += self._framing.pack(payloads, not binary)
        return frames

    def push(self, member: Member, message: TopicMessage) -> list[Any]:
        """With the reference of the member's join, which a client with several joins needs."""
        serializer = self.serializer
        payload: bytes | None
        if message.binary:
            payload = serializer.binary_push(member.join_ref, message.topic, message.event, message.payload)
        else:
            payload = serializer.text(member.join_ref, None, message.topic, message.event, message.payload)
        return [] if payload is None else self._framing.pack([payload], not self._is_binary(message))

    def _is_binary(self, message: TopicMessage) -> bool:
        return message.binary and self.serializer.binary_frames

    def _broadcast(self, message: TopicMessage) -> bytes | None:
        if message.binary:
            return self.serializer.binary_broadcast(message.topic, message.event, message.payload)
        return self.serializer.text(None, None, message.topic, message.event, message.payload)


def room_encoder(serializer: Serializer, framing: Framing) -> RoomEncoder:
    """The one encoder of a version and a framing, of which there are a few each."""
    return RoomEncoder.of((serializer, framing))
