"""The feed of the folder: path → record. Its log says of each change also who made it, and where a moved file came from."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

from streaming.core import scripts
from streaming.core.feed import Feed, FeedOptions
from streaming.core.keys import COMMON
from streaming.core.redis import async_redis, refusing
from streaming.core.script import Script
from streaming.engine.conf import conf

from .metadata import NO_NOTE, ChangeNote, FileRecord, decode_record, encode
from .path_locks import Held

NAME = "files"
LOCKS = COMMON + "files:locks"
BATCH = 200
"""Changes that are written at once: to encode them and to send them takes two or three milliseconds."""
MARKS = COMMON + "files:marks"
"""Numbers of the log by the time (seconds) at which they were reached, so that it can be cut by age."""


class Step(NamedTuple):
    """One change of one path. Without a record the path goes."""

    path: str
    record: FileRecord | None
    note: ChangeNote = NO_NOTE


# KEYS: those of a feed, and the locks of paths. ARGV: new epoch, log length, the token and the number of locks that end with this change,
# these locks, then path, value ('': it goes) and note of each step. Every step is logged, also one
# that changes nothing, but for a path that goes and is not there.
_WRITE = Script(
    scripts.OPEN
    + """
for i = 5, 4 + ARGV[4] do
  local held = redis.call('HGET', KEYS[5], ARGV[i])
  if held and string.match(held, ' (.*)$') == ARGV[3] then redis.call('HDEL', KEYS[5], ARGV[i]) end
end
for i = 5 + ARGV[4], #ARGV, 3 do
  local key, value = ARGV[i], ARGV[i + 1]
  local old = redis.call('HGET', state, key)
  if old or value ~= '' then
    local new = value ~= '' and now .. value or ''
    append(key, new, old or '', ARGV[i + 2])
    if value == '' then redis.call('HDEL', state, key) else redis.call('HSET', state, key, new) end
  end
end
"""
    + scripts.CLOSE
)

# KEYS: the marks, the log, its meta. ARGV: now, the age in seconds. Notes the number of now, and cuts the log behind the last mark of
# that age. Returns how many lines went.
_CUT = """
local seq = redis.call('HGET', KEYS[3], 'seq')
if not seq then return 0 end
redis.call('ZADD', KEYS[1], ARGV[1], seq)
local old = redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[1] - ARGV[2], '-inf', 'LIMIT', 0, 1)
if not old[1] then return 0 end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. redis.call('ZSCORE', KEYS[1], old[1]))
if tonumber(old[1]) >= tonumber(seq) then old[1] = seq - 1 end
return redis.call('XTRIM', KEYS[2], 'MINID', string.format('%d-0', old[1] + 1))
"""


class FolderFeed(Feed):
    """The feed `files`."""

    def __init__(self) -> None:
        super().__init__(NAME, FeedOptions(log_length=conf.FILES_LOG_LENGTH))

    async def record(self, path: str) -> FileRecord | None:
        """What is stored of a path at this moment."""
        value = await self.get(path)
        return None if value is None else decode_record(value)

    @staticmethod
    def stored_record(stored: bytes | None) -> FileRecord | None:
        """The record of a value with its time of arrival, as the state has it."""
        return None if stored is None else decode_record(stored[13:])

    async def write(self, steps: Iterable[Step], held: Held | None = None) -> None:
        """Store, number and log some changes, in their order: all at once, up to some hundred. Locks that are `held` end with the last.

        Many steps had better be made one by one, while they are asked for: between the batches everything else has a turn.
        """
        rest = iter(steps)
        following = list(islice(rest, BATCH))
        while some := following:
            following = list(islice(rest, BATCH))
            ending = held if not following else None
            args: list[Any] = [secrets.token_hex(4), self.options.log_length]
            args += ("", 0) if ending is None else (ending.token, len(ending.keys), *ending.keys)
            for step in some:
                args += step.path, b"" if step.record is None else encode(step.record), encode(step.note)
            await _WRITE.run([*self.keys, LOCKS], args)
            if ending is not None:
                ending.ended = True

    async def cut(self, now: float, age: float) -> int:
        """Forget what the log has from before so many seconds."""
        with refusing():
            cut: Any = await async_redis().register_script(_CUT)([MARKS, self.log_key, self.meta_key], [now, age])
        return int(cut)
