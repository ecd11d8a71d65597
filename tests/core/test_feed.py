"""Feeds on a real Redis: what is stored, numbered, logged and refused, from the event loop and from threads alike."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from streaming.core.doorbell import UNKNOWN
from streaming.core.errors import StreamError
from streaming.core.feed import MAX_BATCH, Cursor, Feed, FeedOptions, LogEntry, parse_entries
from streaming.core.redis import async_redis, close_async_redis, sync_redis

from .conftest import Rings


class Calls:
    """A feed whose operations are called on the event loop or from a thread, as the test's parameter says."""

    def __init__(self, on_the_loop: bool) -> None:
        self.on_the_loop = on_the_loop

    async def __call__(self, feed: Feed, operation: str, *arguments: Any) -> Any:
        if not self.on_the_loop:
            return await asyncio.to_thread(getattr(feed, f"{operation}_sync"), *arguments)
        return await getattr(feed, operation)(*arguments)


@pytest.fixture(params=[True, False], ids=["async", "sync"])
async def call(request: pytest.FixtureRequest, redis: None) -> Any:
    yield Calls(request.param)
    await close_async_redis()


@pytest.fixture
def feed(redis: None) -> Feed:
    return Feed("layer:test", FeedOptions(log_length=1000))


def log_of(feed: Feed) -> list[LogEntry]:
    return parse_entries(sync_redis().xrange(feed.log_key))  # type: ignore[arg-type]


def age(feed: Feed, seconds: float) -> None:
    """Make everything stored so far older."""
    for key, score in sync_redis().zrange(feed.keys[3], 0, -1, withscores=True):  # type: ignore[misc, union-attr]
        sync_redis().zadd(feed.keys[3], {key: score - seconds * 1000})


async def test_outcomes_are_in_order(call: Calls, feed: Feed) -> None:
    result = await call(feed, "put", [("a", b"1"), ("b", b"2")])
    assert result.outcomes == ["added", "added"]
    result = await call(feed, "put", [("a", b"1"), ("b", b"3"), ("c", b"4")])
    assert result.outcomes == ["unchanged", "updated", "added"]
    assert [result.count(outcome) for outcome in ("added", "updated", "unchanged", "refused")] == [1, 1, 1, 0]


async def test_numbers_follow_each_other_across_operations(call: Calls, feed: Feed) -> None:
    await call(feed, "put", [("a", b"1"), ("b", b"2")])
    await call(feed, "delete", ["a"])
    result = await call(feed, "put", [("a", b"1")])
    assert [entry.seq for entry in log_of(feed)] == [1, 2, 3, 4]
    assert result.cursor.seq == 4


async def test_the_log_has_the_version_that_was_replaced(call: Calls, feed: Feed) -> None:
    await call(feed, "put", [("a", b"1")])
    await call(feed, "put", [("a", b"2")])
    await call(feed, "delete", ["a"], "left")
    added, updated, deleted = log_of(feed)
    assert (added.old, updated.old, updated.new, deleted.old) == (None, added.new, deleted.old, updated.new)
    assert added.new is not None and added.new[13:] == b"1"
    assert (deleted.new, deleted.reason) == (None, "left")


async def test_the_same_key_twice_in_a_batch_is_two_steps(call: Calls, feed: Feed) -> None:
    result = await call(feed, "put", [("a", b"1"), ("a", b"2"), ("a", b"2"), ("a", b"1")])
    assert result.outcomes == ["added", "updated", "unchanged", "updated"]
    assert [(entry.old and entry.old[13:], entry.new and entry.new[13:]) for entry in log_of(feed)] == [
        (None, b"1"),
        (b"1", b"2"),
        (b"2", b"1"),
    ]
    assert feed.get_sync("a") == b"1"


async def test_a_full_feed_refuses_new_keys_only(call: Calls, redis: None) -> None:
    feed = Feed("f", FeedOptions(max_items=2))
    result = await call(feed, "put", [("a", b"1"), ("b", b"1"), ("c", b"1"), ("a", b"2"), ("c", b"2")])
    assert result.outcomes == ["added", "added", "refused", "updated", "refused"]
    await call(feed, "delete", ["a"])
    assert (await call(feed, "put", [("c", b"1")])).outcomes == ["added"]
    assert feed.count_sync() == 2


async def test_refused_items_leave_no_trace(call: Calls, redis: None) -> None:
    feed = Feed("f", FeedOptions(max_items=1, ttl_seconds=60))
    await call(feed, "put", [("a", b"1"), ("b", b"1")])
    assert [entry.key for entry in log_of(feed)] == ["a"]
    assert sync_redis().zcard(feed.keys[3]) == 1


async def test_deleting_says_what_was_there(call: Calls, feed: Feed) -> None:
    await call(feed, "put", [("a", b"1")])
    assert (await call(feed, "delete", ["a", "b", "a"])).outcomes == ["deleted", "missing", "missing"]
    assert feed.get_sync("a") is None


async def test_large_batches_are_stored_whole(call: Calls, feed: Feed) -> None:
    many = [(str(number), b"1") for number in range(2 * MAX_BATCH + 1)]
    assert (await call(feed, "put", many)).count("added") == len(many)
    assert feed.count_sync() == len(many)
    assert (await call(feed, "delete", [key for key, _ in many])).count("deleted") == len(many)


async def test_nothing_put_is_nothing_done(call: Calls, feed: Feed) -> None:
    result = await call(feed, "put", [])
    assert (result.outcomes, result.cursor) == ([], None)


async def test_reading_gives_state_and_place(call: Calls, feed: Feed) -> None:
    cursor = (await call(feed, "put", [("a", b"1"), ("ä", "ö".encode())])).cursor
    state = await call(feed, "read")
    assert state.cursor == cursor
    assert {key.decode(): stored[13:] for key, stored in state.stored.items()} == {"a": b"1", "ä": "ö".encode()}


async def test_reading_creates_the_feed_once(call: Calls, feed: Feed) -> None:
    first = await call(feed, "read")
    assert first.cursor.seq == 0 and (await call(feed, "read")).cursor == first.cursor


async def test_appending_logs_without_state(call: Calls, feed: Feed) -> None:
    cursor = await call(feed, "append", [b"1", b"2"])
    assert cursor.seq == 2 and feed.count_sync() == 0
    assert [entry.new and entry.new[13:] for entry in log_of(feed)] == [b"1", b"2"]


async def test_doorbells_ring_for_changes_only(call: Calls, feed: Feed, rings: Rings) -> None:
    await call(feed, "put", [("a", b"1")])
    await call(feed, "put", [("a", b"1")])
    await call(feed, "delete", ["b"])
    assert rings.numbers == [("layer:test", 1)]
    await call(feed, "delete", ["a"])
    await call(feed, "append", [b"x"])
    assert rings.numbers[1:] == [("layer:test", 2), ("layer:test", 3)]


async def test_a_dropped_feed_comes_back_with_another_epoch(call: Calls, feed: Feed, rings: Rings) -> None:
    before = (await call(feed, "put", [("a", b"1")])).cursor
    await asyncio.to_thread(feed.drop_sync)
    assert rings.heard[-1] == ("layer:test", UNKNOWN)
    assert not sync_redis().exists(*feed.keys)
    after = (await call(feed, "put", [("a", b"1")])).cursor
    assert after.seq == 1 and after.epoch != before.epoch


async def test_what_is_left_of_a_feed_without_its_meta_is_swept(call: Calls, feed: Feed) -> None:
    await call(feed, "put", [("a", b"1"), ("b", b"1")])
    sync_redis().delete(feed.meta_key)
    assert (await call(feed, "put", [("c", b"1")])).cursor.seq == 1
    assert list((await call(feed, "read")).stored) == [b"c"]


async def test_a_script_that_redis_forgot_is_sent_again(call: Calls, feed: Feed) -> None:
    await call(feed, "put", [("a", b"1")])
    sync_redis().script_flush()
    assert (await call(feed, "put", [("a", b"2")])).outcomes == ["updated"]


async def test_renewing_voids_cursors_once_and_keeps_the_rest(feed: Feed) -> None:
    before = feed.put_sync([("a", b"1")]).cursor
    assert before is not None
    await feed.renew(before.epoch)
    after = feed.read_sync()
    assert after.cursor.epoch != before.epoch and after.cursor.seq == 1 and b"a" in after.stored
    await feed.renew(before.epoch)
    assert feed.read_sync().cursor == after.cursor
    await close_async_redis()


@pytest.fixture
async def expiring(redis: None) -> Any:
    yield Feed("f", FeedOptions(ttl_seconds=60))
    await close_async_redis()


async def test_silent_items_expire_with_a_reason(expiring: Feed, rings: Rings) -> None:
    expiring.put_sync([("a", b"1")])
    age(expiring, 61)
    expiring.put_sync([("b", b"1")])
    assert await expiring.expire() == 1
    assert expiring.get_sync("a") is None and expiring.get_sync("b") == b"1"
    assert (log_of(expiring)[-1].key, log_of(expiring)[-1].reason) == ("a", "expired")
    assert rings.numbers[-1] == ("f", 3)
    assert await expiring.expire() == 0


async def test_the_longest_silence_tells_when_the_next_item_may_expire(expiring: Feed) -> None:
    assert await expiring.longest_silence() == 0
    expiring.put_sync([("a", b"1")])
    age(expiring, 40)
    expiring.put_sync([("b", b"1")])
    assert await expiring.longest_silence() == pytest.approx(40, abs=5)
    expiring.delete_sync(["a"])
    assert await expiring.longest_silence() < 5


async def test_an_unchanged_put_keeps_an_item_alive(expiring: Feed) -> None:
    expiring.put_sync([("a", b"1")])
    age(expiring, 61)
    assert expiring.put_sync([("a", b"1")]).outcomes == ["unchanged"]
    assert await expiring.expire() == 0


async def test_a_deleted_item_does_not_expire(expiring: Feed) -> None:
    expiring.put_sync([("a", b"1")])
    age(expiring, 61)
    expiring.delete_sync(["a"])
    assert await expiring.expire() == 0


async def test_items_from_before_the_lifetime_count_from_their_arrival(expiring: Feed) -> None:
    Feed("f").put_sync([("a", b"1")])
    assert await expiring.expire() == 0
    age(expiring, 61)
    assert await expiring.expire() == 1


async def test_at_most_a_batch_expires_at_once(expiring: Feed) -> None:
    expiring.put_sync([(str(number), b"1") for number in range(MAX_BATCH + 5)])
    age(expiring, 61)
    assert [await expiring.expire() for _ in range(3)] == [MAX_BATCH, 5, 0]


def test_the_log_is_trimmed_but_the_state_is_not(redis: None) -> None:
    feed = Feed("f", FeedOptions(log_length=10))
    feed.put_sync([(str(number), b"1") for number in range(1000)])
    entries = log_of(feed)
    assert len(entries) < 300 and entries[-1].seq == 1000
    assert feed.count_sync() == 1000


@pytest.mark.parametrize("text", ["abc:0", "abc:12", "a:b:3"])
def test_a_cursor_is_what_its_text_says(text: str) -> None:
    assert str(Cursor.parse(text)) == text


@pytest.mark.parametrize("text", ["", "abc", ":1", "abc:", "abc:-1", "abc:1.5", "abc:²", "abc: 1", "a" * 63 + ":1", f"abc:{2**63}"])
def test_anything_else_is_no_cursor(text: str) -> None:
    with pytest.raises(StreamError) as caught:
        Cursor.parse(text)
    assert caught.value.code == "invalid_cursor"


def test_operations_come_in_pairs_with_equal_parameters() -> None:
    for name in ("put", "delete", "append", "read"):
        assert inspect.signature(getattr(Feed, name)).parameters == inspect.signature(getattr(Feed, f"{name}_sync")).parameters


@pytest.mark.parametrize(("operation", "arguments"), [("put", [[("a", b"1")]]), ("delete", [["a"]]), ("append", [[b"1"]]), ("read", [])])
async def test_without_redis_every_operation_is_refused(call: Calls, no_redis: None, operation: str, arguments: list[Any]) -> None:
    with pytest.raises(StreamError) as caught:
        await call(Feed("f"), operation, *arguments)
    assert caught.value.code == "redis_unavailable" and caught.value.kind.retry


@pytest.mark.parametrize("operation", [lambda feed: feed.get_sync("a"), lambda feed: feed.count_sync(), lambda feed: feed.drop_sync()])
def test_without_redis_the_rest_is_refused_too(no_redis: None, operation: Any) -> None:
    with pytest.raises(StreamError, match="nothing was stored"):
        operation(Feed("f"))


async def test_a_redis_that_refuses_writes_refuses_puts(call: Calls, feed: Feed) -> None:
    sync_redis().set(feed.keys[0], "not a hash")
    sync_redis().hset(feed.meta_key, mapping={"epoch": "e", "seq": 0})
    with pytest.raises(StreamError) as caught:
        await call(feed, "put", [("a", b"1")])
    assert caught.value.code == "redis_unavailable"


async def test_the_loops_redis_is_made_once_a_loop(redis: None) -> None:
    assert async_redis() is async_redis()
    await close_async_redis()
