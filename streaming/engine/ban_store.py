"""Keeps bans in Redis, and what every process knows of them in line with it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from streaming.core.errors import StreamError
from streaming.core.keys import COMMON
from streaming.core.redis import async_redis, refusing, sync_redis

from .access import announce
from .bans import Ban
from .measures import Sample
from .service import Service

if TYPE_CHECKING:
    from .runtime import Runtime

logger = logging.getLogger(__name__)

ENDS_KEY, BANS_KEY = COMMON + "bans:ends", COMMON + "bans:bans"
"""When each ends (a sorted set), and what it is (a hash), by its name."""
BANS_CHANGED = "bans.changed"
"""The control message on which every process reads them anew."""
REFRESH_SECONDS = 30.0
MOST_BANS = 10_000
"""Bans that there are at once."""


def impose(ban: Ban) -> None:
    """Ban, in every process, in place of an earlier one. `StreamError`: redis_unavailable, bad_request if there are too many."""
    redis = sync_redis()
    with refusing():
        _forget_ended()
        if redis.zcard(ENDS_KEY) >= MOST_BANS and redis.zscore(ENDS_KEY, ban.name) is None:
            raise StreamError("bad_request", f"there may be {MOST_BANS} bans at once: lift some")
        with redis.pipeline() as pipe:
            pipe.hset(BANS_KEY, ban.name, msgspec.json.encode(ban))
            pipe.zadd(ENDS_KEY, {ban.name: ban.until})
            pipe.execute()
    announce(BANS_CHANGED)


def lift(name: str) -> Ban | None:
    """End a ban, in every process; returns it, None if there was none. `StreamError("redis_unavailable")`."""
    with refusing(), sync_redis().pipeline() as pipe:
        pipe.hget(BANS_KEY, name)
        pipe.hdel(BANS_KEY, name)
        pipe.zrem(ENDS_KEY, name)
        found = pipe.execute()[0]
    announce(BANS_CHANGED)
    return None if found is None else msgspec.json.decode(found, type=Ban)


def bans() -> list[Ban]:
    """Those in force, the one that ends first before the others. `StreamError("redis_unavailable")`. For threads."""
    with refusing():
        _forget_ended()
        found: Any = sync_redis().hvals(BANS_KEY)
    return _read(found)


def _forget_ended() -> None:
    redis = sync_redis()
    ended: Any = redis.zrangebyscore(ENDS_KEY, "-inf", time.time())
    if ended:
        with redis.pipeline() as pipe:
            pipe.hdel(BANS_KEY, *ended)
            pipe.zrem(ENDS_KEY, *ended)
            pipe.execute()


def _read(values: Iterable[bytes]) -> list[Ban]:
    now = time.time()
    found = (msgspec.json.decode(value, type=Ban) for value in values)
    return sorted((ban for ban in found if ban.until > now), key=lambda ban: ban.until)


class BanWatch(Service):
    """Keeps the bans that a process knows as they are in Redis, and ends the connections of those who are banned."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._list = runtime.connections.bans

    async def start(self) -> None:
        """Read them, and again after notices and now and then. `StreamError("redis_unavailable")`."""
        await self.refresh()
        self.runtime.hub.on(BANS_CHANGED, lambda message: self.runtime.spawn(self._refresh_after_notice()))
        self.runtime.hub.every(REFRESH_SECONDS, self.refresh)

    async def refresh(self) -> None:
        """Read them anew, and apply them to the open connections."""
        with refusing():
            found: Any = await async_redis().hvals(BANS_KEY)
        self._list.replace(_read(found))
        self.runtime.connections.end_banned()

    async def _refresh_after_notice(self) -> None:
        try:
            await self.refresh()
        except StreamError as error:
            logger.warning("the bans could not be read and will be: %s", error)

    def collect(self) -> Iterable[Sample]:
        """How many there are."""
        yield "geostream_bans", (), len(self._list)
