"""Presence in Redis: a feed of entries for each topic, and the list of topics that a node (a server process) has members on.

Feed and lists change in one atomic step, so nothing is ever shown that nobody would sweep. All of it may be repeated: what was stored
already is stored again without a change in the feed.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from streaming.core import scripts
from streaming.core.feed import Feed, FeedOptions
from streaming.core.keys import COMMON
from streaming.core.leases import NODE_KEY, NODES
from streaming.core.redis import async_redis, refusing

from .presence_entry import ENDING, Entry, parse_entry

TOPICS = COMMON + "topics"
OWNED = COMMON + "owned:"
"""Before a node: the key that lists the topics on which it has members."""

MOST_IDS = 100
"""Members of a topic that are named in answers; of larger ones only the number is."""
AFTERLIFE_SECONDS = 120
"""How long the log of an empty topic stays: longer than any process follows it, and no more, for there may be very many."""
SWEEP_BATCH = 1000

_OPTIONS = FeedOptions(log_length=1000)
_ARRIVAL = 13
"""Digits of arrival time before a stored value."""

_ANSWER = """
local count = redis.call('HLEN', state)
local ids = count <= tonumber(ARGV[3]) and redis.call('HKEYS', state) or {}
"""

_REMOVE = """
local function remove(key, old, reason)
  append(key, '', old, reason)
  redis.call('HDEL', state, key)
end
"""

_IF_EMPTY = """
if count == 0 then
  redis.call('SREM', KEYS[5], ARGV[4])
  redis.call('EXPIRE', log, ARGV[5])
  redis.call('EXPIRE', meta, ARGV[5])
end
"""

# KEYS: those of the feed, all topics, the node's topics, all nodes. ARGV: new epoch, log length, most ids, topic, node, then id, value ...
# Returns epoch, seq, one letter an item (a(dded), u(pdated), =), the number of members and their ids.
_TRACK = (
    scripts.OPEN
    + """
if redis.call('EXISTS', state) == 0 then
  redis.call('PERSIST', log)
  redis.call('PERSIST', meta)
end
local outcomes = {}
for i = 6, #ARGV, 2 do
  local key, value = ARGV[i], ARGV[i + 1]
  local old = redis.call('HGET', state, key)
  if old and string.sub(old, 14) == value then
    outcomes[#outcomes + 1] = '='
  else
    local new = now .. value
    append(key, new, old or '', '')
    redis.call('HSET', state, key, new)
    outcomes[#outcomes + 1] = old and 'u' or 'a'
  end
end
redis.call('SADD', KEYS[5], ARGV[4])
redis.call('SADD', KEYS[6], ARGV[4])
redis.call('SADD', KEYS[7], ARGV[5])
"""
    + scripts.CLOSE
    + _ANSWER
    + "return {epoch, seq, table.concat(outcomes), count, ids}"
)

# KEYS: the same. ARGV: new epoch, log length, most ids, topic, afterlife, whether the node has nobody left there, then ids. Returns the
# same; the letters are d(eleted) and -.
_UNTRACK = (
    scripts.OPEN
    + _REMOVE
    + """
local outcomes = {}
for i = 7, #ARGV do
  local old = redis.call('HGET', state, ARGV[i])
  if old then remove(ARGV[i], old, 'left') end
  outcomes[#outcomes + 1] = old and 'd' or '-'
end
"""
    + scripts.CLOSE
    + _ANSWER
    + _IF_EMPTY
    + """
if count == 0 or ARGV[6] == '1' then redis.call('SREM', KEYS[6], ARGV[4]) end
return {epoch, seq, table.concat(outcomes), count, ids}
"""
)

# KEYS: those of the feed, all topics, the node's topics, the node's key. ARGV: new epoch, log length, most ids, topic, afterlife, how the
# values of the node end, most to remove. Nothing happens if the node lives. Returns epoch, seq, what was removed (id, old value, ...), the
# number of members, their ids, and whether there is more.
_SWEEP = (
    "if redis.call('EXISTS', KEYS[7]) == 1 then return false end\n"
    + scripts.OPEN
    + _REMOVE
    + """
local ending, most, removed, more = ARGV[6], tonumber(ARGV[7]), {}, 0
local all = redis.call('HGETALL', state)
for i = 1, #all, 2 do
  if string.sub(all[i + 1], -#ending) == ending then
    if #removed >= 2 * most then more = 1 break end
    remove(all[i], all[i + 1], 'node_down')
    removed[#removed + 1] = all[i]
    removed[#removed + 1] = all[i + 1]
  end
end
if more == 0 then redis.call('SREM', KEYS[6], ARGV[4]) end
"""
    + scripts.CLOSE
    + _ANSWER
    + _IF_EMPTY
    + "return {epoch, seq, removed, count, ids, more}"
)


@dataclass(slots=True)
class Operation:
    """What becomes of some members of one topic: tracked with a value, or removed. `last`: the node has nobody left there."""

    topic: str
    tracked: dict[str, bytes] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    last: bool = False


@dataclass(slots=True)
class Answer:
    """What became of them, and who is on the topic now: how many and, if they are few, their ids."""

    topic: str
    outcomes: dict[str, str]
    count: int
    ids: list[str] | None


@dataclass(slots=True)
class Swept(Answer):
    """The members of a dead node that were removed from a topic, by id. `more`: there are others."""

    entries: dict[str, Entry]
    more: bool


def presence_feed(topic: str) -> Feed:
    """The feed of who is on a topic."""
    return Feed(f"presence:{topic}", _OPTIONS)


class PresenceStore:
    """Reads and writes presence for one node. Everything raises `StreamError("redis_unavailable")`."""

    def __init__(self, node: str) -> None:
        self._node = node

    async def write(self, operations: Sequence[Operation]) -> list[Answer]:
        """Do all of them, in order, in one pipeline. If it fails, any of them may have been done."""
        with refusing():
            client = async_redis()
            track, untrack = client.register_script(_TRACK), client.register_script(_UNTRACK)
            async with client.pipeline(transaction=False) as pipe:
                for operation in operations:
                    script = track if operation.tracked else untrack
                    await script(self._keys(operation), self._arguments(operation), pipe)
                replies = await pipe.execute()
        return [_answer(operation, reply) for operation, reply in zip(operations, replies, strict=True)]

    async def owned(self, node: str) -> list[str]:
        """The topics on which a node has members, or had when it died."""
        with refusing():
            topics: Any = await async_redis().smembers(OWNED + node)
        return [topic.decode() for topic in topics]

    async def sweep(self, node: str, topics: Sequence[str]) -> list[Swept]:
        """Remove the members of a dead node from topics. Nothing if it lives after all."""
        with refusing():
            client = async_redis()
            script = client.register_script(_SWEEP)
            async with client.pipeline(transaction=False) as pipe:
                for topic in topics:
                    keys = [*presence_feed(topic).keys, TOPICS, OWNED + node, NODE_KEY + node]
                    await script(keys, [*_beginning(topic), AFTERLIFE_SECONDS, ENDING % node.encode(), SWEEP_BATCH], pipe)
                replies = await pipe.execute()
        return [_swept(topic, reply) for topic, reply in zip(topics, replies, strict=True) if reply]

    async def count(self, topic: str) -> int:
        """How many members a topic has, everywhere."""
        with refusing():
            count: Any = await async_redis().hlen(presence_feed(topic).keys[0])
        return int(count)

    async def entries(self, topic: str) -> dict[str, Entry]:
        """Who is on a topic, by member id, those first who came first."""
        with refusing():
            stored: Any = await async_redis().hgetall(presence_feed(topic).keys[0])
        pairs = sorted(stored.items(), key=lambda pair: pair[1][:_ARRIVAL])
        return {member_id.decode(): parse_entry(value[_ARRIVAL:]) for member_id, value in pairs}

    async def topics(self, most: int | None = None) -> list[str]:
        """Every topic that has members; some of them if there are more than `most`."""
        with refusing():
            client = async_redis()
            topics: Any = await (client.smembers(TOPICS) if most is None else client.srandmember(TOPICS, most))
        return sorted(topic.decode() for topic in topics)

    def _keys(self, operation: Operation) -> list[str]:
        return [*presence_feed(operation.topic).keys, TOPICS, OWNED + self._node, NODES]

    def _arguments(self, operation: Operation) -> list[Any]:
        arguments = _beginning(operation.topic)
        if not operation.tracked:
            return [*arguments, AFTERLIFE_SECONDS, int(operation.last), *operation.removed]
        arguments.append(self._node)
        for pair in operation.tracked.items():
            arguments += pair
        return arguments


def _beginning(topic: str) -> list[Any]:
    return [secrets.token_hex(4), _OPTIONS.log_length, MOST_IDS, topic]


def _answer(operation: Operation, reply: Any) -> Answer:
    letters = reply[2].decode()
    outcomes = dict(zip(operation.tracked or operation.removed, letters, strict=True))
    return Answer(operation.topic, outcomes, *_present(reply))


def _swept(topic: str, reply: Any) -> Swept:
    removed = reply[2]
    entries = {key.decode(): parse_entry(old[_ARRIVAL:]) for key, old in zip(removed[::2], removed[1::2], strict=True)}
    return Swept(topic, dict.fromkeys(entries, "d"), *_present(reply), entries, bool(reply[5]))


def _present(reply: Any) -> tuple[int, list[str] | None]:
    count = int(reply[3])
    return count, [key.decode() for key in reply[4]] if count <= MOST_IDS else None
