"""The zstd dictionaries of a layer, as all processes share them: in Redis, beside the layer's feed.

A dictionary holds pieces of the layer's features, so it lives by the layer's rules: only who may read the layer may read it, it goes when
the layer is deleted, emptied or renamed, and it is never older than `GEOSTREAM_DICTIONARY_SECONDS`.

There is one for each *form* in which messages are written (JSON, MessagePack). The one before it can still be fetched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from streaming.core.keys import feed_prefix
from streaming.core.redis import async_feed_redis, refusing, sync_feed_redis
from streaming.core.script import Script

_NAME = re.compile(r"[0-9a-f]{32}")
_FORM = "form:"
_MADE = "made_at"

# KEYS: the dictionaries of a layer. ARGV: how many seconds they are kept, when they were made; then form, name and bytes of each.
_STORE = Script("""
local kept = {}
for i = 3, #ARGV, 3 do
  local before = redis.call('HGET', KEYS[1], ARGV[i])
  if before then kept[before] = redis.call('HGET', KEYS[1], before) end
end
redis.call('DEL', KEYS[1])
for name, bytes in pairs(kept) do
  if bytes then redis.call('HSET', KEYS[1], name, bytes) end
end
for i = 3, #ARGV, 3 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1], ARGV[i + 1], ARGV[i + 2]) end
redis.call('HSET', KEYS[1], 'made_at', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
""")


class Current(NamedTuple):
    """Which dictionaries of a layer are in use: their names by form, and when they were made (seconds since 1970)."""

    names: Mapping[str, str]
    made_at: float


NONE = Current({}, 0.0)


def name_of(dictionary: bytes) -> str:
    """The name of a dictionary: the hash of its bytes, so that what is at its address never changes."""
    return sha256(dictionary).hexdigest()[:32]


async def current(layer: str, forms: tuple[str, ...]) -> Current:
    """What is in use. `StreamError` redis_unavailable."""
    with refusing():
        found: Any = await async_feed_redis().hmget(_keys(layer)[0], [_MADE, *(_FORM + form for form in forms)])
    made_at, *names = found
    if made_at is None:
        return NONE
    return Current({form: name.decode() for form, name in zip(forms, names, strict=True) if name is not None}, float(made_at))


async def read(layer: str, name: str) -> bytes | None:
    """The bytes of a dictionary; None if the layer has none of this name. `StreamError` redis_unavailable."""
    if not _NAME.fullmatch(name):
        return None
    with refusing():
        found: Any = await async_feed_redis().hget(_keys(layer)[0], name)
    return None if found is None else bytes(found)


async def store(layer: str, dictionaries: Mapping[str, bytes], made_at: float, seconds: float) -> None:
    """Put new ones, by form, into use for so many seconds. `StreamError` redis_unavailable."""
    args = [part for form, data in dictionaries.items() for part in (_FORM + form, name_of(data), data)]
    await _STORE.run(_keys(layer)[:1], [int(seconds), made_at, *args])


async def claim_training(layer: str, seconds: float) -> bool:
    """Whether this process is to train the layer's dictionaries: for so long no other one is told so. `StreamError` redis_unavailable."""
    with refusing():
        return bool(await async_feed_redis().set(_keys(layer)[1], 1, nx=True, ex=max(1, int(seconds))))


def forget_sync(layer: str) -> None:
    """Delete the dictionaries of a layer. `StreamError` redis_unavailable."""
    with refusing():
        sync_feed_redis().delete(*_keys(layer))


def _keys(layer: str) -> tuple[str, str]:
    """Those of the dictionaries, and of who trains them: on the same node as the layer's feed."""
    prefix = feed_prefix(f"layer:{layer}")
    return f"{prefix}:dictionaries", f"{prefix}:dictionaries:training"
