"""Which connection speaks for which client id, in all processes: the newest, as long as it is the same user's."""

from __future__ import annotations

import re
from typing import Any

from streaming.core.errors import StreamError
from streaming.core.keys import COMMON
from streaming.core.redis import async_redis, refusing

CLIENT_ID = re.compile(r"[!-~]{1,128}")
"""Visible ASCII."""
KEY = COMMON + "files:client:"
NUMBERS = COMMON + "files:subscriptions"
LEASE_SECONDS = 180
RENEW_SECONDS = 60.0

# KEYS: the client, the numbers of subscriptions. ARGV: the user, seconds. Returns the new number, 0 if the id is another user's.
_CLAIM = """
local held = redis.call('GET', KEYS[1])
if held and string.match(held, '^%d+ (.*)$') ~= ARGV[1] then return 0 end
local number = redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], number .. ' ' .. ARGV[1], 'EX', ARGV[2])
return number
"""

# KEYS: the client. ARGV: its number, the user, seconds (0: it goes).
_RENEW = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] .. ' ' .. ARGV[2] then return 0 end
if ARGV[3] == '0' then return redis.call('DEL', KEYS[1]) end
return redis.call('EXPIRE', KEYS[1], ARGV[3])
"""


async def claim(client_id: str, user: str) -> int:
    """Speak for a client from now on; returns a number that grows with each. `StreamError("forbidden")` if another user's speaks for it."""
    number = await _run(_CLAIM, [KEY + client_id, NUMBERS], user, LEASE_SECONDS)
    if not number:
        raise _taken()
    return int(number)


async def check(client_id: str, user: str) -> None:
    """`StreamError("forbidden")` if another user's client has this id: nobody speaks in the name of others."""
    with refusing():
        held: Any = await async_redis().get(KEY + client_id)
    if held is not None and held.decode().partition(" ")[2] != user:
        raise _taken()


async def renew(client_id: str, user: str, number: int) -> None:
    """Still speak for it."""
    await _run(_RENEW, [KEY + client_id], number, user, LEASE_SECONDS)


async def release(client_id: str, user: str, number: int) -> None:
    """Speak for it no more."""
    await _run(_RENEW, [KEY + client_id], number, user, 0)


async def _run(script: str, keys: list[str], *arguments: Any) -> Any:
    with refusing():
        return await async_redis().register_script(script)(keys, arguments)


def _taken() -> StreamError:
    return StreamError("forbidden", "another user has a client of this id: choose one that is your own")
