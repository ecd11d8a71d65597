"""The store: hashes are read page by page, with the few commands that a limited user of Redis may send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pytest_django import Settings

from streaming.core.errors import StreamError
from streaming.core.redis import sync_redis
from streaming.redis_data.hashes import PAGE, HashReader
from streaming.server.embedded_redis import RedisService
from tests.core.restarting import RestartingRedis


@pytest.fixture
async def store(redis: None) -> AsyncIterator[HashReader]:
    store = HashReader()
    yield store
    await store.close()


async def read(store: HashReader, key: str) -> list[bytes]:
    return [value async for page in store.values(key) for value in page]


def fill(key: str, count: int) -> list[bytes]:
    values = [b"%d" % number for number in range(count)]
    sync_redis().hset(key, mapping={f"field {value.decode()}": value for value in values})
    return values


async def test_a_field_is_read(store: HashReader) -> None:
    sync_redis().hset("pub:h", "a b", b"\0\xff")
    assert await store.field("pub:h", "a b") == b"\0\xff"


async def test_a_field_that_is_missing_is_nothing(store: HashReader) -> None:
    sync_redis().hset("pub:h", "a", "1")
    assert [await store.field("pub:h", "b"), await store.field("pub:none", "a")] == [None, None]


async def test_all_values_of_a_hash_are_read(store: HashReader) -> None:
    values = fill("pub:h", 3)
    assert sorted(await read(store, "pub:h")) == values


async def test_a_missing_hash_has_no_values(store: HashReader) -> None:
    assert await read(store, "pub:none") == []


async def test_what_is_no_hash_is_as_if_it_were_not_there(store: HashReader) -> None:
    sync_redis().set("pub:s", "text")
    assert await store.field("pub:s", "a") is None
    assert await read(store, "pub:s") == []


async def test_a_large_hash_is_read_in_pages_and_each_value_once(store: HashReader) -> None:
    values = fill("pub:h", 5 * PAGE)
    pages = [page async for page in store.values("pub:h")]
    assert len(pages) >= 4
    assert sorted(int(value) for page in pages for value in page) == [int(value) for value in values]


async def test_no_more_values_are_read_than_may_be(store: HashReader, settings: Settings) -> None:
    settings.GEOSTREAM_REDIS_VALUES = PAGE + 10
    fill("pub:h", 5 * PAGE)
    values = await read(store, "pub:h")
    assert len(values) == len(set(values)) == PAGE + 10
    assert store.truncated == 1


async def test_exactly_as_many_as_may_be_are_not_too_many(store: HashReader, settings: Settings) -> None:
    settings.GEOSTREAM_REDIS_VALUES = 3
    fill("pub:h", 3)
    assert len(await read(store, "pub:h")) == 3
    assert store.truncated == 0


async def test_no_page_is_read_ahead(store: HashReader) -> None:
    fill("pub:h", 5 * PAGE)
    before = scans()
    async for _ in store.values("pub:h"):
        break
    assert scans() - before == 1


def scans() -> int:
    return int(sync_redis().info("commandstats").get("cmdstat_hscan", {"calls": 0})["calls"])


async def test_another_redis_is_read_where_the_setting_says_so(redis: None, own_redis: RedisService, settings: Settings) -> None:
    settings.GEOSTREAM_REDIS_COMMANDS_URL = own_redis.url
    sync_redis().hset("pub:h", "a", "in the one in use")
    store = HashReader()
    assert await store.field("pub:h", "a") is None
    await store.close()


async def test_a_redis_that_is_away_is_a_refusal_until_it_is_back(tmp_path: Path) -> None:
    server = RestartingRedis(tmp_path)
    store = HashReader(server.url)
    assert await store.field("pub:h", "a") is None
    server.stop()
    for reading in (store.field("pub:h", "a"), read(store, "pub:h")):
        with pytest.raises(StreamError) as refused:
            await reading
        assert refused.value.code == "redis_unavailable"
    server.start()
    assert await store.field("pub:h", "a") is None
    await store.close()
    server.stop()


# -- a user of Redis who may do nothing else -----------------------------------

ALLOWED = ("+hget", "+hscan", "+hvals", "+type", "+subscribe", "+psubscribe")


@pytest.fixture
async def limited(redis: None, redis_service: RedisService) -> AsyncIterator[HashReader]:
    """A store that acts for a user who may read only `pub:*`, with the commands of this dialect."""
    acl = sync_redis()
    acl.execute_command("ACL", "SETUSER", "reader", "reset", "on", ">secret", "resetchannels", "~pub:*", "&pub:*", "-@all", *ALLOWED)
    acl.execute_command("ACL", "LOG", "RESET")
    store = HashReader(redis_service.url.replace("redis://", "redis://reader:secret@"))
    yield store
    await store.close()
    acl.execute_command("ACL", "DELUSER", "reader")


async def test_a_limited_user_is_enough_for_all_that_is_read(limited: HashReader) -> None:
    values = fill("pub:h", 3)
    assert await limited.field("pub:h", "field 1") == b"1"
    assert sorted(await read(limited, "pub:h")) == values
    assert sync_redis().execute_command("ACL", "LOG") == []


async def test_what_redis_keeps_from_its_user_is_as_if_it_were_not_there(limited: HashReader) -> None:
    sync_redis().hset("secret", "a", "1")
    assert await limited.field("secret", "a") is None
    assert await read(limited, "secret") == []
