"""Feeds as operators see them: which there are, how long, large and busy, and the lines of their logs.

Everything is read from Redis itself, whichever part a feed belongs to: layers, events, tilesets, presence, topics' histories, files.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
from django.db.models import Count

from streaming.core.errors import StreamError
from streaming.core.feed import Cursor, Feed, LogEntry, parse_entries
from streaming.core.keys import ALL_META, feed_of_meta
from streaming.core.pulling import pull_sync
from streaming.core.redis import refusing, scan_pages, sync_feed_redis
from streaming.models import Subscription

MOST_FEEDS = 5000
SCAN_COUNT, MOST_SCANS = 5000, 40
"""Keys of Redis that are looked through at most: 200,000, which takes it some 50 ms."""
MEMORY_SAMPLES = 5
MAX_VALUE_BYTES = 16 * 1024
"""Of a value; the rest is left out."""


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One feed: `length` lines in its log, `items` in its state, `bytes` in Redis, roughly."""

    name: str
    epoch: str
    seq: int
    length: int
    items: int
    bytes: int
    subscribers: int

    @property
    def kind(self) -> str:
        """What stands before the first colon."""
        return self.name.partition(":")[0]

    @property
    def oldest(self) -> int:
        """The number of the first line that the log still has."""
        return self.seq - self.length + 1

    def as_dict(self) -> dict[str, Any]:
        """For the page."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a log. `old` and `new` are the texts of the values, None where there is none; `arrived` milliseconds since 1970."""

    seq: int
    key: str
    kind: str
    arrived: int | None
    reason: str | None
    old: str | None
    new: str | None


def find_feeds(search: str = "") -> tuple[list[str], bool]:
    """The names of feeds that contain a text, sorted, and whether these are all. `StreamError` if Redis does not answer."""
    found, scans = set[str](), 0
    with refusing():
        for keys in scan_pages(ALL_META, SCAN_COUNT):
            if scans == MOST_SCANS or len(found) > MOST_FEEDS:
                return sorted(found)[:MOST_FEEDS], False
            scans += 1
            names = (feed_of_meta(key.decode(errors="replace")) for key in keys)
            found.update(name for name in names if search.lower() in name.lower())
    return sorted(found)[:MOST_FEEDS], len(found) <= MOST_FEEDS


def feed_rows(names: Sequence[str]) -> list[FeedRow]:
    """What there is to say of each, in one round trip. `StreamError` if Redis does not answer."""
    feeds = [Feed(name) for name in names]
    pipe: Any = sync_feed_redis().pipeline(transaction=False)
    for feed in feeds:
        pipe.hmget(feed.meta_key, "epoch", "seq")
        pipe.xlen(feed.log_key)
        pipe.hlen(feed.keys[0])
        for key in feed.keys:
            pipe.memory_usage(key, samples=MEMORY_SAMPLES)
    with refusing():
        replies = pipe.execute()
    each = 3 + len(Feed("").keys)
    listening = dict(Subscription.objects.filter(feed__in=names).values_list("feed").annotate(Count("id")).order_by())
    return [_row(name, replies[place * each : (place + 1) * each], listening.get(name, 0)) for place, name in enumerate(names)]


def _row(name: str, replies: Sequence[Any], subscribers: int) -> FeedRow:
    (epoch, seq), length, items, *sizes = replies
    return FeedRow(name, epoch.decode() if epoch else "", int(seq or 0), length, items, sum(size or 0 for size in sizes), subscribers)


def newest_lines(name: str, before: int | None, limit: int) -> list[LogLine]:
    """The last lines of a log before a number, newest first. `StreamError` if Redis does not answer."""
    end = "+" if before is None else f"({before}-0"
    with refusing():
        reply: Any = sync_feed_redis().xrevrange(Feed(name).log_key, end, "-", count=limit)
    return [_line(entry) for entry in parse_entries(reply)]


def lines_after(name: str, cursor: Cursor, limit: int) -> list[LogLine]:
    """The lines of a log behind a cursor, oldest first.

    `StreamError`: invalid_cursor if the feed was created anew since, or does not reach back so far; redis_unavailable.
    """
    pulled = pull_sync(Feed(name), cursor.seq + 1, limit)
    epoch, seq, _ = pulled.meta
    entries = parse_entries(pulled.lines)
    if epoch is None or epoch.decode() != cursor.epoch or cursor.seq > int(seq or 0):
        raise StreamError("invalid_cursor", "the feed was created anew since this cursor")
    if cursor.seq < int(seq or 0) and (not entries or entries[0].seq != cursor.seq + 1):
        first = "nothing" if not entries else f"what is behind {epoch.decode()}:{entries[0].seq - 1}"
        raise StreamError("invalid_cursor", f"the log does not reach back so far; it has {first}")
    return [_line(entry) for entry in entries]


def _line(entry: LogEntry) -> LogLine:
    kind = "deleted" if entry.new is None else "updated" if entry.old is not None else "added" if entry.key else "logged"
    arrived = int(entry.new[:13]) if entry.new is not None and entry.new[:13].isdigit() else None
    return LogLine(entry.seq, entry.key, kind, arrived, entry.reason, _text(entry.old), _text(entry.new))


def _text(stored: bytes | None) -> str | None:
    """A value as text; what is no text in Base64."""
    if stored is None:
        return None
    value = stored[13:]
    cut = value[:MAX_VALUE_BYTES]
    more = f" … and {len(value) - len(cut):,} bytes" if len(cut) < len(value) else ""
    try:
        return cut.decode(errors="ignore" if more else "strict") + more
    except UnicodeDecodeError:
        return base64.b64encode(cut).decode() + more


def pretty(text: str | None) -> str:
    """JSON with indentation; anything else as it is."""
    if text is None:
        return ""
    try:
        return msgspec.json.format(text, indent=2)
    except (msgspec.DecodeError, RecursionError):
        return text
