"""What only one process may do at a time: the one whose name is in a key of Redis, until it has not renewed it for a while.

A new keeper is announced on the channel of the same name, and so is that there is none any more, as an empty message.
"""

from __future__ import annotations

from .redis import async_redis, refusing

# KEYS: the key. ARGV: the node, for how long in ms, whether it knows that it is the keeper. Returns whether it is.
_CLAIM = """
local keeper = redis.call('GET', KEYS[1])
if keeper and keeper ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if ARGV[3] == '0' or not keeper then redis.call('PUBLISH', KEYS[1], ARGV[1]) end
return 1
"""

# KEYS: the key. ARGV: the node, which is the keeper no more.
_RESIGN = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return redis.call('PUBLISH', KEYS[1], '')
"""


async def claim(key: str, node: str, seconds: float, known: bool) -> bool:
    """Be the keeper for so long, if no other node is. A new one, or one that does not know it (not `known`), is announced."""
    with refusing():
        return bool(await async_redis().register_script(_CLAIM)([key], [node, int(seconds * 1000), int(known)]))


async def resign(key: str, node: str) -> None:
    """Another one may be the keeper."""
    with refusing():
        await async_redis().register_script(_RESIGN)([key], [node])
