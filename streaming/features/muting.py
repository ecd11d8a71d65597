"""Publishers that staff have muted or slowed down, for a time: users, or single tokens. In every process at once.

They are kept in Redis, where all publishing ends, and in the memory of each process, so that a request asks nobody. Only what comes over
HTTP with a login has a publisher: what is fed from Redis, from files and by commands cannot be muted here.
"""

from __future__ import annotations

import binascii
import time
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from typing import Any

import msgspec

from streaming.core.errors import StreamError
from streaming.core.keys import COMMON
from streaming.core.redis import async_redis, refusing, sync_redis
from streaming.engine.access import announce

KEY = COMMON + "muted"
CHANGED = "publishers.changed"
"""The control message on which every process reads them anew."""
READ_SECONDS = 5.0
MOST = 1000
MOST_SECONDS = 30 * 24 * 3600


class Mute(msgspec.Struct, frozen=True, omit_defaults=True):
    """One publisher: `user:<name>`, or `token:<jti>`. `until` is seconds since 1970; `rate` requests a second, 0 for none at all."""

    publisher: str
    until: float
    rate: float = 0.0
    reason: str = ""
    by: str = ""

    @property
    def until_text(self) -> str:
        """For people, in UTC."""
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.until))


@dataclass(slots=True)
class _Allowance:
    left: float
    at: float


class MutedPublishers:
    """What this process knows of them."""

    def __init__(self) -> None:
        self._mutes: dict[str, Mute] = {}
        self._allowances: dict[str, _Allowance] = {}

    def check(self, user: Any, token: object = None) -> None:
        """`StreamError`: muted, or rate_limited, if the user or the token may not publish now."""
        if not self._mutes:
            return
        for publisher in (f"user:{user.get_username()}", f"token:{token_id(token)}"):
            mute = self._mutes.get(publisher)
            if mute is not None and mute.until > time.time():
                self._check(mute)

    def _check(self, mute: Mute) -> None:
        why = f": {mute.reason}" if mute.reason else ""
        if not mute.rate:
            raise StreamError("muted", f"an operator has muted this publisher until {mute.until_text}{why}")
        now, most = time.monotonic(), max(mute.rate, 1.0)
        allowance = self._allowances.setdefault(mute.publisher, _Allowance(most, now))
        allowance.left, allowance.at = min(most, allowance.left + (now - allowance.at) * mute.rate), now
        if allowance.left < 1:
            allowed = f"{mute.rate:g} requests a second until {mute.until_text}{why}"
            raise StreamError("rate_limited", f"an operator allows this publisher {allowed}")
        allowance.left -= 1

    def all(self) -> list[Mute]:
        """Those that are muted now."""
        return sorted((mute for mute in self._mutes.values() if mute.until > time.time()), key=lambda mute: mute.publisher)

    def use(self, stored: dict[bytes, bytes]) -> None:
        """What Redis has."""
        mutes = [msgspec.json.decode(value, type=Mute) for value in stored.values()]
        self._mutes = {mute.publisher: mute for mute in mutes if mute.until > time.time()}
        self._allowances = {name: value for name, value in self._allowances.items() if name in self._mutes}

    async def read(self) -> None:
        """Read them from Redis. `StreamError` if it does not answer."""
        with refusing():
            stored: Any = await async_redis().hgetall(KEY)
        self.use(stored)

    def read_sync(self) -> None:
        """The same from a thread."""
        with refusing():
            stored: Any = sync_redis().hgetall(KEY)
        self.use(stored)


muted = MutedPublishers()


def mute(order: Mute) -> None:
    """Mute or slow down a publisher, in every process. `StreamError`: bad_request, redis_unavailable."""
    muted.read_sync()
    if not 0 < order.until - time.time() <= MOST_SECONDS or order.rate < 0:
        raise StreamError("bad_request", f"a publisher is muted for 1 to {MOST_SECONDS} seconds, and a rate is not negative")
    if len(muted.all()) >= MOST:
        raise StreamError("bad_request", f"at most {MOST} publishers are muted at once")
    with refusing():
        sync_redis().hset(KEY, order.publisher, msgspec.json.encode(order))
    _changed()


def lift(publisher: str) -> None:
    """Let a publisher publish again. `StreamError` if Redis does not answer."""
    with refusing():
        sync_redis().hdel(KEY, publisher)
    _changed()


def _changed() -> None:
    muted.read_sync()
    announce(CHANGED)


def token_id(token: object) -> str:
    """The id (`jti`) of a JWT whose signature was checked before; "" if it has none."""
    try:
        payload = str(token).split(".")[1]
        claims = msgspec.json.decode(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims.get("jti", ""))
    except (IndexError, ValueError, AttributeError, binascii.Error, msgspec.DecodeError):
        return ""
