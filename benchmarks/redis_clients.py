"""Clients of the Redis commands: they set a box and a projection, subscribe to one channel, and count.

What is published are points of 300 bytes, half of which are in the box of each client, though no two boxes are the same. The stamp is in
the feature's id, a text, so it looks the same however a server writes JSON.
"""

from __future__ import annotations

import re
from random import Random
from typing import NamedTuple

from .phoenix_clients import Member
from .swarm import masked

CHANNEL = "pub:bench"
BYTES = 300
"""Of each message."""
SPAN = 90.0
"""Width of the boxes, and how far the westernmost is from the easternmost, in degrees."""
_GOLDEN = 0.6180339887498949
_FEATURE = b'{"type":"Feature","id":"t%d","geometry":{"type":"Point","coordinates":[%.6f,%.6f]},"properties":{"line":"%b"}}'


class Case(NamedTuple):
    """What the clients ask for."""

    name: str
    boxed: bool = False
    projected: bool = False


class Subscriber(Member):
    """One client: it is ready when the PING after everything else is answered."""

    __slots__ = ("_case",)

    path = "/redis/"
    stamp = re.compile(rb'"t(\d{16})')
    carried = 17

    def __init__(self, case: Case, port: int, number: int) -> None:
        self._case = case
        super().__init__(port, number)

    def first_frames(self, number: int) -> bytes:
        """Its commands."""
        commands = [f"SUB {CHANNEL}", "PING"]
        if self._case.projected:
            commands.insert(0, "PROJECTION epsg:3857")
        if self._case.boxed:
            left = west(number)
            commands.insert(0, f"BBOX {left!r} 30 {left + SPAN!r} 60")
        return b"".join(masked(command.encode()) for command in commands)

    def answered(self) -> bool:
        """Whether PONG came."""
        return b'"PONG"' in self.carry


def west(number: int) -> float:
    """The left side of the box of a client: all over the span, no two the same."""
    return -SPAN + SPAN * (number * _GOLDEN % 1.0)


def longitudes(count: int) -> list[float]:
    """Where messages are: evenly, in any order, so that half of them are in each box."""
    places = [-SPAN + 2 * SPAN * (number + 0.5) / count for number in range(count)]
    Random(5).shuffle(places)
    return places


def feature(stamp: int, longitude: float) -> bytes:
    """A message."""
    bare = _FEATURE % (stamp, longitude, 47.0, b"")
    return _FEATURE % (stamp, longitude, 47.0, b"x" * (BYTES - len(bare)))


def expected(case: Case, clients: int, places: list[float]) -> int:
    """How many of the messages at these places reach clients."""
    if not case.boxed:
        return clients * len(places)
    rounded = [float(f"{place:.6f}") for place in places]
    return sum(west(number) <= place <= west(number) + SPAN for number in range(clients) for place in rounded)
