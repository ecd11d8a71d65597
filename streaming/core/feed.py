"""A feed: keyed state plus the log of its changes, in Redis.
Every operation is one Lua call (`scripts.py`), so state, numbering and log never disagree, whichever process or machine writes.
Each operation exists twice, for the event loop (`put`) and for threads and commands (`put_sync`); both run the same command and
read its reply alike.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha1
from itertools import islice
from typing import Any, TypeVar

from redis.exceptions import RedisError

from . import scripts
from .errors import StreamError
from .items import Change, Item
from .keys import feed_prefix
from .publish_trace import publishing
from .redis import async_feed_redis, async_redis, refusing, sync_feed_redis, sync_redis
from .script import Script

MAX_BATCH = 1000
"""Items a single Lua call takes: about 7 ms of Redis's time."""

MOST_TTL_SECONDS = 1e11
"""About three thousand years; more is the same."""

PARSE_SLICE = 400
"""Items made between two looks at what else there is to do: about a millisecond."""

LAST_SEQ = 2**63 - 1
"""No log comes so far, and a number beyond is none for Redis."""

MUST_BE_NEW = "!*"
"""The condition that nothing is stored under a key. Others are in `scripts.py`."""

_OUTCOMES = {"a": "added", "u": "updated", "=": "unchanged", "x": "refused", "!": "conflict", "d": "deleted", "-": "missing"}
_CHANGES = frozenset({"added", "updated", "deleted"})
T = TypeVar("T")
Put = tuple[str, bytes] | tuple[str, bytes, str]
"""A key, its value and, if there is one, the condition on the version that is stored (see `scripts.py`)."""


def version_of(value: bytes) -> str:
    """What tells one version of a key from another: the hash of its value, as the scripts compute it."""
    return sha1(value, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in a feed's log. Its text is `epoch:seq`."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read a cursor; `StreamError("invalid_cursor")` if it is not one."""
        epoch, _, seq = text.rpartition(":")
        if not epoch or len(text) > 64 or not (seq.isascii() and seq.isdigit()) or int(seq) > LAST_SEQ:
            raise StreamError("invalid_cursor", f"not a cursor of this server: {text[:64]!r}")
        return cls(epoch, int(seq))


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """How much a feed keeps: changes in its log, items in its state, and for how long a silent item stays (seconds)."""

    log_length: int = 10_000
    max_items: int = 0
    ttl_seconds: float | None = None

    @property
    def lifetime_ms(self) -> int:
        """The lifetime in milliseconds, 0 for ever."""
        return int(min(self.ttl_seconds or 0, MOST_TTL_SECONDS) * 1000)


@dataclass(slots=True)
class PutResult:
    """What became of each item, in order: added, updated, unchanged, refused or conflict (deleted, missing or conflict for a delete).

    `conflicts` are the versions that are stored in the place of those with a conflict, "" for none.
    """

    outcomes: list[str] = field(default_factory=list)
    cursor: Cursor | None = None
    conflicts: list[str] = field(default_factory=list)

    def count(self, outcome: str) -> int:
        """How many items had this outcome."""
        return self.outcomes.count(outcome)


@dataclass(slots=True)
class FeedState:
    """The whole of a feed at one moment: `stored` maps key to stored bytes (arrival time and value). `stamp`: see `doorbell.py`."""

    cursor: Cursor
    stored: dict[bytes, bytes]
    stamp: bytes | None = None
    _items: dict[str, Item] = field(default_factory=dict)

    @property
    def items(self) -> dict[str, Item]:
        """The items by key."""
        if self.stored and not self._items:
            self._items = dict(map(_keyed_item, self.stored.items()))
        return self._items

    async def parse(self) -> FeedState:
        """Make the items some at a time, so that loading a large feed holds nothing else up."""
        pairs, items = iter(self.stored.items()), {}
        while some := dict(map(_keyed_item, islice(pairs, PARSE_SLICE))):
            items.update(some)
            await asyncio.sleep(0)
        self._items = items
        return self


_put, _delete, _expire, _append, _append_once, _read, _renew = (
    Script(source)
    for source in (
        scripts.PUT,
        scripts.DELETE,
        scripts.EXPIRE,
        scripts.APPEND,
        scripts.APPEND_ONCE,
        scripts.READ,
        scripts.RENEW,
    )
)


class Feed:
    """One feed by name, such as `layer:flights` or `events`. Cheap to make; holds no connection and no state."""

    def __init__(self, name: str, options: FeedOptions | None = None) -> None:
        self.name = name
        self.options = options or FeedOptions()
        self._prefix = feed_prefix(name)
        self.keys = (f"{self._prefix}:state", f"{self._prefix}:log", f"{self._prefix}:meta", f"{self._prefix}:touched")

    @property
    def log_key(self) -> str:
        """The Redis key of the log."""
        return self.keys[1]

    @property
    def meta_key(self) -> str:
        """The Redis key of epoch and seq."""
        return self.keys[2]

    async def put(self, items: Iterable[Put]) -> PutResult:
        """Store values under their keys; values are canonical JSON, so that equal bytes mean nothing changed."""
        result = PutResult()
        for batch in _batches(items):
            self._note(result, await _put.run(self.keys, self._put_args(batch)))
        return result

    def put_sync(self, items: Iterable[Put]) -> PutResult:
        """The same from a thread or a command."""
        result = PutResult()
        for batch in _batches(items):
            self._note(result, _put.run_sync(self.keys, self._put_args(batch)))
        return result

    async def delete(self, keys: Iterable[str], reason: str = "deleted", condition: str = "") -> PutResult:
        """Remove keys; `reason` reaches the subscribers. A `condition` has to hold for each of them."""
        result = PutResult()
        for batch in _batches(keys):
            self._note(result, await _delete.run(self.keys, [_epoch(), self.options.log_length, reason, condition, *batch]))
        return result

    def delete_sync(self, keys: Iterable[str], reason: str = "deleted", condition: str = "") -> PutResult:
        """The same from a thread or a command."""
        result = PutResult()
        for batch in _batches(keys):
            self._note(result, _delete.run_sync(self.keys, [_epoch(), self.options.log_length, reason, condition, *batch]))
        return result

    async def append(self, values: Sequence[bytes]) -> Cursor:
        """Log values without keeping state (events). At least once: after a connection that broke, a value may be there twice."""
        return self._appended(await _append.run(self.keys, [_epoch(), self.options.log_length, *values]))

    def append_sync(self, values: Sequence[bytes]) -> Cursor:
        """The same from a thread or a command."""
        return self._appended(_append.run_sync(self.keys, [_epoch(), self.options.log_length, *values]))

    async def append_once(self, value: bytes, name: str, made_of: str, seconds: int) -> tuple[Cursor, str]:
        """Log a value unless one was logged under this name within so many seconds.

        Returns the cursor of the one that is logged, and what that was made of. `made_of` has no blanks.
        """
        return self._once(await _append_once.run(*self._once_args(value, name, made_of, seconds)))

    def append_once_sync(self, value: bytes, name: str, made_of: str, seconds: int) -> tuple[Cursor, str]:
        """The same from a thread or a command."""
        return self._once(_append_once.run_sync(*self._once_args(value, name, made_of, seconds)))

    async def expire(self) -> int:
        """Delete what was silent for longer than the feed's lifetime; returns how many, at most `MAX_BATCH`."""
        reply = await _expire.run(self.keys, [_epoch(), self.options.log_length, self.options.lifetime_ms, MAX_BATCH])
        return int(reply[2])

    async def longest_silence(self) -> float:
        """Seconds for which the item has been silent that was so for the longest; 0 if there is none, or the feed's items do not expire."""
        with refusing():
            oldest: Any = await async_feed_redis().zrange(self.keys[3], 0, 0, withscores=True)
            if not oldest:
                return 0.0
            seconds, micros = await async_redis().time()
        return max(float(seconds + micros / 1e6 - oldest[0][1] / 1000), 0.0)

    async def read(self) -> FeedState:
        """The whole state, creating the feed if it is not there yet."""
        return _state(await _read.run(self.keys, [_epoch()]))

    def read_sync(self) -> FeedState:
        """The same from a thread or a command."""
        return _state(_read.run_sync(self.keys, [_epoch()]))

    async def renew(self, epoch: str) -> None:
        """Give the feed a new epoch if it still has this one: all cursors given so far become void."""
        await _renew.run(self.keys, [_epoch(), epoch])

    async def get(self, key: str) -> bytes | None:
        """The value of one key, or None."""
        with refusing():
            stored: Any = await async_feed_redis().hget(self.keys[0], key)
        return stored[13:] if stored else None

    def get_sync(self, key: str) -> bytes | None:
        """The same from a thread or a command."""
        with refusing():
            stored: Any = sync_feed_redis().hget(self.keys[0], key)
        return stored[13:] if stored else None

    def stored_keys_sync(self) -> set[str]:
        """The keys of all items."""
        with refusing():
            found: Any = sync_feed_redis().hkeys(self.keys[0])
        return {key.decode() for key in found}

    def keys_sync(self) -> list[str]:
        """The keys of all items."""
        with refusing():
            keys: Any = sync_feed_redis().hkeys(self.keys[0])
        return [key.decode() for key in keys]

    def count_sync(self) -> int:
        """How many items the feed holds."""
        with refusing():
            count: Any = sync_feed_redis().hlen(self.keys[0])
        return int(count)

    def forget_silence_sync(self) -> None:
        """The feed has no lifetime any more; should it get one again, items count from their last change."""
        with refusing():
            sync_feed_redis().delete(self.keys[3])

    def drop_sync(self) -> None:
        """Remove the feed; processes that follow it see every item deleted."""
        with refusing():
            sync_feed_redis().delete(*self.keys)
        self.ring_sync()

    def ring_sync(self) -> None:
        """Have processes that follow the feed look at it now rather than within a second. Scripts of feeds ring by themselves."""
        with suppress(RedisError):
            sync_redis().publish(self.meta_key, b"")

    def _put_args(self, batch: list[Put]) -> list[Any]:
        args: list[Any] = [_epoch(), self.options.log_length, self.options.max_items, self.options.lifetime_ms, 2]
        before = len(args)
        for item in batch:
            args += item
        if len(args) > before + 2 * len(batch):  # some have a condition
            args[before - 1 :] = [3, *(part for key, value, *condition in batch for part in (key, value, *(condition or ("",))))]
        return args

    def _once_args(self, value: bytes, name: str, made_of: str, seconds: int) -> tuple[Sequence[str], Sequence[Any]]:
        key = f"{self._prefix}:once:{name}"
        return (*self.keys, key), [_epoch(), self.options.log_length, seconds, made_of, value]

    def _once(self, reply: Any) -> tuple[Cursor, str]:
        return self._appended(reply), reply[2].decode()

    def _note(self, result: PutResult, reply: Any) -> None:
        outcomes = [_OUTCOMES[letter] for letter in reply[2].decode()]
        result.outcomes += outcomes
        result.conflicts += [version.decode() for version in reply[3]]
        result.cursor = _cursor(reply)
        changes = sum(outcome in _CHANGES for outcome in outcomes)
        if changes:
            self._changed(result.cursor, changes)

    def _appended(self, reply: Any) -> Cursor:
        cursor = _cursor(reply)
        self._changed(cursor, 1)
        return cursor

    def _changed(self, cursor: Cursor, changes: int) -> None:
        trace = publishing.get()
        if trace is not None:
            trace.changed(self.name, cursor.epoch, cursor.seq, changes)


@dataclass(slots=True)
class LogEntry:
    """One line of a feed's log as stored: `old` and `new` carry 13 digits of arrival time before the value."""

    seq: int
    key: str
    old: bytes | None
    new: bytes | None
    reason: str | None

    def change(self, old: Item | None) -> Change:
        """The change this line stands for, `old` being the item a replica already holds."""
        new = parse_item(self.key, self.new) if self.new is not None else None
        return Change(self.seq, self.key, old, new, self.reason)


def parse_entries(reply: Iterable[tuple[bytes, dict[bytes, bytes]]]) -> list[LogEntry]:
    """Read what `XRANGE` returned."""
    entries = []
    for entry_id, fields in reply:
        reason = fields.get(b"r")
        entries.append(
            LogEntry(
                seq=int(entry_id[:-2]),
                key=fields.get(b"k", b"").decode(),
                old=fields.get(b"o"),
                new=fields.get(b"n"),
                reason=reason.decode() if reason else None,
            )
        )
    return entries


def parse_item(key: str, stored: bytes) -> Item:
    """The item of a stored value."""
    return Item(key, stored[13:], int(stored[:13]))


def _keyed_item(pair: tuple[bytes, bytes]) -> tuple[str, Item]:
    key = pair[0].decode()
    return key, parse_item(key, pair[1])


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, MAX_BATCH)):
        yield batch


def _epoch() -> str:
    return secrets.token_hex(4)


def _cursor(reply: Any) -> Cursor:
    return Cursor(reply[0].decode(), int(reply[1]))


def _state(reply: Any) -> FeedState:
    flat = reply[2]
    return FeedState(_cursor(reply), dict(zip(flat[::2], flat[1::2], strict=True)), reply[3])
