"""Bans: users and network addresses that may neither connect nor send requests for a time.

They are in Redis, each with the time at which it ends, and in the memory of every process: connecting asks nobody, and a Redis that is away
lets nobody in again. A process notices a new one by a notice at once or, if that is lost, within half a minute.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

import msgspec

from streaming.core.errors import StreamError

from .addresses import network


class Ban(msgspec.Struct, frozen=True):
    """One ban. `value` is the user's primary key as text, or what `network` makes of an address. Times are seconds since 1970."""

    kind: Literal["user", "address"]
    value: str
    label: str
    """Who that is, for people."""
    until: float
    since: float
    by: str
    reason: str = ""

    @property
    def name(self) -> str:
        """What it is known by; there is one ban of a name."""
        return f"{self.kind}:{self.value}"


class BanList:
    """The bans as one process knows them."""

    def __init__(self) -> None:
        self._bans: dict[str, Ban] = {}

    def __len__(self) -> int:
        now = time.time()
        return sum(ban.until > now for ban in self._bans.values())

    def replace(self, bans: Iterable[Ban]) -> None:
        """These are in force now."""
        self._bans = {ban.name: ban for ban in bans}

    def of(self, address: str, user_id: int | None) -> Ban | None:
        """The ban that an address, or the user who comes from there, is under."""
        if not self._bans:
            return None
        names = [f"address:{network(address)}"]
        if user_id is not None:
            names.append(f"user:{user_id}")
        now = time.time()
        return next((ban for name in names if (ban := self._bans.get(name)) is not None and ban.until > now), None)


def refusal(ban: Ban) -> StreamError:
    """What the client is told: until when, and nothing of who and why."""
    until = datetime.fromtimestamp(ban.until, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return StreamError("banned", f"{'you are' if ban.kind == 'user' else 'your address is'} banned until {until} UTC")
