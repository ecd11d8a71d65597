"""Locks of paths, in Redis, for all processes: whoever changes a path waits until nobody changes it, what is above it or what is below it.

A lock that is not renewed ends by itself, with the process that held it.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from streaming.core.errors import StreamError
from streaming.core.redis import async_redis, refusing
from streaming.core.tasks import TaskSet

from .paths import twin_key

LEASE_SECONDS = 10.0
FIRST_PAUSE, LAST_PAUSE = 0.004, 0.1

# KEYS: the locks, a hash of path → end in ms and token; the state of the feed. ARGV: token, lease in ms, a path to be read ('': none), the
# paths. All of them or none. Returns whether, and what is stored of the path that is read.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function inside(path, tops)
  if tops[path] then return true end
  local at = string.find(path, '/', 1, true)
  while at do
    if tops[string.sub(path, 1, at - 1)] then return true end
    at = string.find(path, '/', at + 1, true)
  end
  return false
end
local mine, others = {}, {}
for j = 4, #ARGV do mine[ARGV[j]] = true end
local held = redis.call('HGETALL', KEYS[1])
for i = 1, #held, 2 do
  local ends, token = string.match(held[i + 1], '^(%d+) (.*)$')
  if tonumber(ends) < now then
    redis.call('HDEL', KEYS[1], held[i])
  elseif token ~= ARGV[1] then
    if inside(held[i], mine) then return {0} end
    others[held[i]] = true
  end
end
for path in pairs(mine) do
  if inside(path, others) then return {0} end
end
for j = 4, #ARGV do redis.call('HSET', KEYS[1], ARGV[j], string.format('%d %s', now + ARGV[2], ARGV[1])) end
return {1, ARGV[3] ~= '' and redis.call('HGET', KEYS[2], ARGV[3])}
"""

# KEYS: the locks. ARGV: token, the paths.
_RELEASE = """
for j = 2, #ARGV do
  local held = redis.call('HGET', KEYS[1], ARGV[j])
  if held and string.match(held, ' (.*)$') == ARGV[1] then redis.call('HDEL', KEYS[1], ARGV[j]) end
end
"""


@dataclass(slots=True)
class Held:
    """Locks that are held. `stored` is what the feed had of the path that was to be read as they were taken."""

    token: str
    keys: list[str]
    stored: bytes | None = None
    ended: bool = False
    """Whether they were given up together with the change that they were held for."""


class PathLocks:
    """The locks of one folder. `state_key` is where its feed has the state."""

    def __init__(self, key: str, state_key: str, patience: float) -> None:
        """`patience` is how many seconds somebody waits."""
        self.key = key
        self._state_key = state_key
        self._patience = patience
        self._held: set[str] = set()
        self._tasks = TaskSet()

    @asynccontextmanager
    async def hold(self, *paths: str, reading: str = "") -> AsyncIterator[Held]:
        """Hold these paths, all at once. `StreamError("busy")` if others hold one for too long."""
        held = Held(secrets.token_hex(8), sorted({twin_key(path) for path in paths}))
        await self._take(held, reading)
        renewing = asyncio.get_running_loop().call_later(LEASE_SECONDS / 3, lambda: self._tasks.spawn(self._renew(held)))
        try:
            yield held
        finally:
            renewing.cancel()
            self._held.discard(held.token)
            if not held.ended:
                with suppress(StreamError):  # they end by themselves
                    await self._run(_RELEASE, held.token, *held.keys)

    async def _take(self, held: Held, reading: str) -> None:
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + self._patience, FIRST_PAUSE
        while True:
            taken, *read = await self._run(_TAKE, held.token, int(LEASE_SECONDS * 1000), reading, *held.keys)
            if taken:
                break
            if loop.time() > deadline:
                raise StreamError("busy", "somebody else is changing this path; try again")
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, LAST_PAUSE)
        held.stored = read[0] if read else None
        self._held.add(held.token)

    async def _renew(self, held: Held) -> None:
        while held.token in self._held and not held.ended:
            with suppress(StreamError):
                await self._run(_TAKE, held.token, int(LEASE_SECONDS * 1000), "", *held.keys)
                if held.token not in self._held or held.ended:  # they ended meanwhile
                    await self._run(_RELEASE, held.token, *held.keys)
            await asyncio.sleep(LEASE_SECONDS / 3)

    async def _run(self, script: str, *arguments: Any) -> Any:
        with refusing():
            return await async_redis().register_script(script)([self.key, self._state_key], arguments)
