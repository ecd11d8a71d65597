"""The histories of topics in Redis: for each topic with history a feed that is only a log of its messages.

All processes receive what backends publish; one of them, the writer, stores it. Redis refuses what another process stores, and publishes
to all processes how many messages were stored, in the same order in which they receive those of backends.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from streaming.core import scripts
from streaming.core.errors import StreamError
from streaming.core.feed import Feed, FeedOptions
from streaming.core.keys import COMMON
from streaming.core.script import Script
from streaming.engine.conf import conf

from .messages import TopicMessage
from .names import check_topic, matches_any
from .routes import resolve

WRITER = COMMON + "history:keeper"
"""The key that holds the node that is the writer; also the channel on which a new one is announced."""
WRITTEN = "geostream:history:kept"
"""The channel on which the number of stored messages of backends is published."""
PREFIX = "topic:"
AFTERLIFE_SECONDS = 600
"""How long a topic's place outlives its messages: longer than any process goes on following it."""
GRACE_SECONDS = 5
"""What is younger is not removed from a log, that no process misses a part of a burst ..."""
MOST_IN_GRACE = 20_000
"""... unless there is so much more of it than is to be kept."""
RESERVED_EVENTS = frozenset(("last_id", "gap"))
"""What members of a topic with history receive besides its messages."""

_unpack = msgspec.msgpack.Decoder(tuple[str, bytes, bool, str | None]).decode

# KEYS: the writer, then log and meta of each topic. ARGV: the node that must be the writer ('': anybody may write), new epoch, log length,
# life of messages and of the place in seconds, the channel for how many were kept, ms of grace, most messages in it, then number of the
# topic, value ... Returns false if the node is not the writer. Beside epoch and seq, meta has a time (`at`), the
# seq that the topic had then (`mark`), and an older one (`old`): up to there all is older than the grace, and may be removed.
_KEEP = Script(
    scripts.RING
    + """
local node, length, life, place = ARGV[1], tonumber(ARGV[3]), ARGV[4], ARGV[5]
if node ~= '' and redis.call('GET', KEYS[1]) ~= node then return false end
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
local now, seqs, begins, lines, room = string.format('%013d', ms), {}, {}, {}, {}
for topic = 1, (#KEYS - 1) / 2 do
  local log, meta = KEYS[2 * topic], KEYS[2 * topic + 1]
  local found = redis.call('HMGET', meta, 'epoch', 'seq', 'stamp')
  if not found[2] then
    found = {ARGV[2], 0, ''}
    redis.call('DEL', log)
    redis.call('HSET', meta, 'epoch', ARGV[2], 'seq', 0)
  end
  seqs[topic], begins[topic], lines[topic], room[topic] = tonumber(found[2]), found, {}, most_pushed
end
for i = 9, #ARGV, 2 do
  local topic = tonumber(ARGV[i])
  seqs[topic] = seqs[topic] + 1
  local new = now .. ARGV[i + 1]
  redis.call('XADD', KEYS[2 * topic], string.format('%d-0', seqs[topic]), 'n', new)
  room[topic] = room[topic] - #new
  if room[topic] >= 0 then lines[topic][#lines[topic] + 1] = {'', new, '', ''} end
end
for topic, seq in ipairs(seqs) do
  local log, meta = KEYS[2 * topic], KEYS[2 * topic + 1]
  local epoch, first, before = unpack(begins[topic])
  first = tonumber(first)
  if seq > first then
    ring(meta, epoch, first, before or '', seq, ARGV[2], room[topic] < 0 and {} or lines[topic])
    local marks = redis.call('HMGET', meta, 'at', 'mark', 'old')
    local old = tonumber(marks[3] or 0)
    if ms - tonumber(marks[1] or 0) > tonumber(ARGV[7]) then
      old = tonumber(marks[2] or 0)
      redis.call('HSET', meta, 'at', now, 'mark', first, 'old', old)
    end
    redis.call('XTRIM', log, 'MAXLEN', '~', math.min(math.max(seq - old, length), length + ARGV[8]))
    redis.call('EXPIRE', log, life)
  end
  redis.call('EXPIRE', meta, place)
end
if node ~= '' then redis.call('PUBLISH', ARGV[6], (#ARGV - 8) / 2) end
return 1
"""
)


def keeps_history(topic: str) -> bool:
    """Whether the messages of a topic are kept: `GEOSTREAM_TOPIC_HISTORY` names it, and it is an open one."""
    patterns = conf.TOPIC_HISTORY
    return bool(patterns) and kept(patterns, conf.TOPICS, bool(conf.OPEN_TOPICS), topic)


@lru_cache(maxsize=10_000)
def kept(patterns: str, module: str, open_topics: bool, topic: str) -> bool:
    """The same under these settings."""
    try:
        check_topic(topic)
    except StreamError:
        return False
    route = resolve(topic) if matches_any(patterns, topic) else None
    return route is not None and route.channel.keeps_history


def is_command(event: str) -> bool:
    """Whether an event is an order to the clients that are there now, which must not be given to those who come back later."""
    return event.startswith("phx_")


def check_reserved_event(message: TopicMessage) -> None:
    """`StreamError("bad_request")` if its event is one that only the server itself sends."""
    if message.event in RESERVED_EVENTS:
        raise StreamError("bad_request", f"{message.event!r} is an event of the server itself on a topic with history")


def topic_feed(topic: str) -> Feed:
    """The feed of a topic's messages."""
    return Feed(PREFIX + topic, FeedOptions(log_length=conf.TOPIC_HISTORY_LENGTH))


def stored_message(topic: str, value: bytes) -> TopicMessage:
    """The message of a stored value."""
    event, payload, binary, without = _unpack(value)
    return TopicMessage(topic, event, payload, binary, without)


async def keep(messages: Sequence[TopicMessage], node: str = "") -> bool:
    """Store messages in one step; as the writer, if a node is named. False if that is not the writer. Else at least once."""
    keys, arguments = _call(dict.fromkeys(message.topic for message in messages), messages, node)
    return bool(await _KEEP.run(keys, arguments))


def keep_sync(message: TopicMessage) -> None:
    """The same from a thread or a command, which is never the writer."""
    keys, arguments = _call([message.topic], [message], "")
    _KEEP.run_sync(keys, arguments)


async def prepare(topics: Sequence[str]) -> None:
    """These topics have a place that a cursor can name, and keep it for a while."""
    if topics:
        keys, arguments = _call(topics, (), "")
        await _KEEP.run(keys, arguments)


def _call(topics: Iterable[str], messages: Sequence[TopicMessage], node: str) -> tuple[list[str], list[Any]]:
    numbers = {topic: number for number, topic in enumerate(topics, 1)}
    keys = [WRITER]
    for topic in numbers:
        feed = topic_feed(topic)
        keys += feed.log_key, feed.meta_key
    life = max(int(conf.TOPIC_HISTORY_SECONDS), 1)
    arguments: list[Any] = [node, secrets.token_hex(4), conf.TOPIC_HISTORY_LENGTH, life, life + AFTERLIFE_SECONDS, WRITTEN]
    arguments += GRACE_SECONDS * 1000, MOST_IN_GRACE
    for message in messages:
        arguments += numbers[message.topic], msgspec.msgpack.encode((message.event, message.payload, message.binary, message.without))
    return keys, arguments
