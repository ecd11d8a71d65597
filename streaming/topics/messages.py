"""Messages on a topic, from where they were published to every member of the topic."""

from __future__ import annotations


class TopicMessage:
    """An event with its payload: JSON text or, if `binary`, any bytes. The member `without` does not receive it."""

    __slots__ = ("binary", "event", "payload", "topic", "without")

    def __init__(self, topic: str, event: str, payload: bytes, binary: bool = False, without: str | None = None) -> None:
        self.topic = topic
        self.event = event
        self.payload = payload
        self.binary = binary
        self.without = without


class PrivateMessage(TopicMessage):
    """A message for one member only. It waits among those for all, so that a member receives everything in order."""

    __slots__ = ()
