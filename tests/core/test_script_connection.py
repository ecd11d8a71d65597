"""The connection for scripts: answers in order, and no answer where anything is wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from streaming.core import redis as connections
from streaming.core import script_connection as module
from streaming.core.errors import StreamError
from streaming.core.feed import Feed
from streaming.core.redis import close_async_redis, redis_url, sync_redis
from streaming.core.script import Script
from streaming.core.script_connection import UNANSWERED, ScriptConnection
from tests.core.restarting import RestartingRedis


@pytest.fixture
async def connection(redis: None) -> AsyncIterator[ScriptConnection]:
    connection = await opened(redis_url())
    yield connection
    await connection.close()


async def opened(url: str) -> ScriptConnection:
    connection = ScriptConnection(lambda: url, protocol=2)
    await answers(connection)
    return connection


async def answers(connection: ScriptConnection) -> None:
    started = time.monotonic()
    while await connection.call("PING") is UNANSWERED:
        assert time.monotonic() - started < 10
        await asyncio.sleep(0.002)


async def test_who_asks_first_is_not_answered_and_has_it_connect(redis: None) -> None:
    connection = ScriptConnection(redis_url, protocol=2)
    assert await connection.call("PING") is UNANSWERED
    await answers(connection)
    await connection.close()


async def test_answers_are_those_of_the_commands(connection: ScriptConnection) -> None:
    texts = [str(number) * number for number in range(200)]
    assert await asyncio.gather(*(connection.call("ECHO", text) for text in texts)) == [text.encode() for text in texts]


async def test_a_large_answer_comes_whole(connection: ScriptConnection) -> None:
    assert await connection.call("ECHO", "x" * 5_000_000) == b"x" * 5_000_000


async def test_who_gives_up_leaves_the_answers_of_others_alone(connection: ScriptConnection) -> None:
    first, second = (asyncio.create_task(connection.call("ECHO", text)) for text in "ab")
    await asyncio.sleep(0)
    first.cancel()
    assert await second == b"b"


async def test_what_redis_refuses_has_no_answer(connection: ScriptConnection) -> None:
    assert await connection.call("EVALSHA", "0" * 40, 0) is UNANSWERED
    assert await connection.call("PING") == b"PONG"


async def test_a_server_that_is_no_primary_any_more_is_left(connection: ScriptConnection) -> None:
    assert await connection.call("EVAL", "return redis.error_reply('READONLY it is a replica')", 0) is UNANSWERED
    assert await connection.call("PING") is UNANSWERED


async def test_a_connection_that_ends_leaves_questions_unanswered(connection: ScriptConnection) -> None:
    asked = asyncio.create_task(connection.call("BLPOP", "nothing", 0))
    await asyncio.sleep(0)
    while not sync_redis().info("clients")["blocked_clients"]:  # type: ignore[index]
        await asyncio.sleep(0.002)
    sync_redis().client_kill_filter(_type="normal", skipme=True)
    assert await asked is UNANSWERED
    await answers(connection)


async def test_redis_is_not_waited_for_for_ever(redis: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.5)
    connection = await opened(redis_url())
    with pytest.raises(RedisTimeoutError):
        await connection.call("BLPOP", "nothing", 0)
    await connection.close()


async def test_what_others_say_is_no_answer(connection: ScriptConnection) -> None:
    assert await connection.call("SUBSCRIBE", "a", "b") is not UNANSWERED  # two answers
    await asyncio.sleep(0)
    assert await connection.call("PING") is UNANSWERED


async def test_where_there_is_no_redis_it_is_looked_for_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Any] = []
    monkeypatch.setattr(module, "async_blocking_pool", lambda url, **options: looked.append(url) or 1 / 0)
    monkeypatch.setattr(module, "RedisError", ZeroDivisionError)
    connection = ScriptConnection(lambda: "redis://nowhere", protocol=2)
    for _ in range(3):
        assert await connection.call("PING") is UNANSWERED
        await asyncio.sleep(0)
    assert looked == ["redis://nowhere"]
    await connection.close()


async def test_a_script_is_run_whether_or_not_redis_knows_it(redis: None) -> None:
    script = Script("return {KEYS[1], ARGV[1], ARGV[2]}")
    sync_redis().script_flush()
    for _ in range(2):  # without a connection, and with it
        assert await script.run(["k"], [b"\xff", 2]) == [b"k", b"\xff", b"2"]
        script = Script(script.source + " ")
        connection = connections.script_connection()
        assert connection is not None
        await answers(connection)
    await close_async_redis()


async def test_a_restarted_redis_is_found_again(restarting_redis: RestartingRedis) -> None:
    feed = Feed("layer:test")
    for number in range(3):
        with suppress(StreamError):  # of a connection that the client library has kept
            await feed.put([("a", b"%d" % number)])
        await feed.put([("a", b"%d" % number)])
        connection = connections.script_connection()
        assert connection is not None
        await answers(connection)
        await asyncio.to_thread(restarting_redis.stop)
        await asyncio.to_thread(restarting_redis.start)
    assert await asyncio.to_thread(feed.get_sync, "a") == b"2"
    await close_async_redis()
