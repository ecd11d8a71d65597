"""What the doorbells of feeds have rung."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streaming.core.doorbell import Ring, parse_ring
from streaming.core.keys import ALL_META, feed_of_meta
from streaming.core.redis import sync_redis


class Rings:
    """Hears every feed."""

    def __init__(self) -> None:
        self._pubsub = sync_redis().pubsub(ignore_subscribe_messages=True)
        self._pubsub.psubscribe(ALL_META)
        self._pubsub.get_message(timeout=5)
        self._heard: list[tuple[str, Ring]] = []

    @property
    def heard(self) -> list[tuple[str, Ring]]:
        """What was rung so far."""
        self._pubsub.ping()
        while (message := self._pubsub.get_message(timeout=5)) is not None and message["type"] != "pong":
            self._heard.append((feed_of_meta(message["channel"].decode()), parse_ring(message["data"])))
        return self._heard

    @property
    def numbers(self) -> list[tuple[str, int]]:
        """The feeds, and the numbers that they have reached."""
        return [(feed, ring.seq) for feed, ring in self.heard]

    def close(self) -> None:
        """Hear nothing more."""
        self._pubsub.close()


@pytest.fixture
def rings(redis: None) -> Iterator[Rings]:
    """What is rung from now on."""
    rings = Rings()
    yield rings
    rings.close()
