"""Limits on how often credentials are asked for. They are counted in Redis, for all server processes together.

What is counted of logins are those that fail: by the name, which need not be a user's, and by the network address. While Redis does not
answer nothing is counted, so that people can log in.
"""

from __future__ import annotations

import asyncio
import logging
from hashlib import sha256
from typing import Any

from rest_framework.exceptions import Throttled

from streaming.core.errors import StreamError
from streaming.core.keys import COMMON
from streaming.core.redis import refusing, sync_redis
from streaming.engine.addresses import network
from streaming.engine.conf import conf

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60
KEY = COMMON + "throttle:"

# KEYS: the counters. ARGV: seconds, then the limit of each counter (0: none). Counts once more, and returns for how many milliseconds more
# one of them is beyond its limit.
_TAKE = """
local wait = 0
for i, key in ipairs(KEYS) do
  local count = redis.call('INCR', key)
  if count == 1 then redis.call('EXPIRE', key, ARGV[1]) end
  local limit = tonumber(ARGV[i + 1])
  if limit > 0 and count > limit then wait = math.max(wait, redis.call('PTTL', key)) end
end
return wait
"""

_GIVE_BACK = "for _, key in ipairs(KEYS) do if redis.call('EXISTS', key) == 1 then redis.call('DECR', key) end end"

Limits = dict[str, int]
"""How often, within `WINDOW_SECONDS`, by what is counted."""


def login_limits(username: Any, address: str) -> Limits:
    """Of attempts to log in."""
    name = str(username).strip().casefold()  # as the form that reads it does
    return {f"name:{name}": conf.LOGINS_PER_NAME, f"login:{network(address)}": conf.LOGINS_PER_ADDRESS}


def channel_token_limits(user: Any, address: str) -> Limits:
    """Of channel tokens: by the user or, for nobody, by the address."""
    return {f"tokens:user:{user.pk}" if user.is_authenticated else f"tokens:{network(address)}": conf.CHANNEL_TOKENS_PER_MINUTE}


def take(limits: Limits) -> None:
    """Count once more. `Throttled` if that is too often."""
    try:
        with refusing():
            wait: Any = sync_redis().register_script(_TAKE)(_keys(limits), [WINDOW_SECONDS, *limits.values()])
    except StreamError as error:
        _uncounted(error)
    else:
        _check(wait)


async def atake(limits: Limits) -> None:
    """The same on an event loop, which may be that of one request alone and keeps no connection."""
    await asyncio.to_thread(take, limits)


def give_back(limits: Limits) -> None:
    """What was taken last is not to count."""
    try:
        with refusing():
            sync_redis().register_script(_GIVE_BACK)(_keys(limits))
    except StreamError as error:
        _uncounted(error)


def _check(wait: int) -> None:
    if wait > 0:
        raise Throttled(wait / 1000)


def _uncounted(error: StreamError) -> None:
    logger.warning("requests for credentials are not counted: %s", error)


def _keys(limits: Limits) -> list[str]:
    return [KEY + sha256(name.encode(errors="replace")).hexdigest()[:32] for name in limits]
