"""One thing said on a topic, as it travels from whoever said it to everybody who is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .rooms import Member


class Message:
    """An event with its payload: JSON text or, if `binary`, any bytes. `without` is the member that is not told."""

    __slots__ = ("binary", "event", "payload", "topic", "without")

    def __init__(self, topic: str, event: str, payload: bytes, binary: bool = False, without: str | None = None) -> None:
        self.topic = topic
        self.event = event
        self.payload = payload
        self.binary = binary
        self.without = without


class Private(Message):
    """For one member only. It waits among what is for all, so that everything is told in the order in which it was said."""

    __slots__ = ()


class Encoder(Protocol):
    """Turns messages into what a sender writes. There is one of each variant, so that it can stand for what it has made."""

    def broadcast(self, run: Sequence[Message]) -> list[Any]:
        """The finished frames of a run, the same for every member."""

    def push(self, member: Member, message: Message) -> list[Any]:
        """The finished frames of a message for one member."""
