"""What Redis says of itself, and what is made of it where it says nothing."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ResponseError

from streaming.core.redis import async_redis, sync_redis
from streaming.engine import redis_state
from streaming.engine.redis_state import RedisState

pytestmark = pytest.mark.usefixtures("closing_redis")


async def looked() -> dict[str, float]:
    state = RedisState()
    await state.look()
    return {name: value for name, _, value in state.samples()}


async def test_memory_connections_and_how_long_the_answer_took(redis: None) -> None:
    sync_redis().config_set("maxmemory", "64mb")
    try:
        found = await looked()
    finally:
        sync_redis().config_set("maxmemory", "0")
    assert found["geostream_redis_memory_bytes"] > 100_000
    assert found["geostream_redis_memory_limit_bytes"] == 64 * 1024 * 1024
    assert found["geostream_redis_clients"] >= 1
    assert 0 < found["geostream_redis_answer_seconds"] < redis_state.MOST_SECONDS


async def test_a_user_who_may_not_ask_is_told_nothing(redis: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise ResponseError("NOPERM")

    monkeypatch.setattr(type(async_redis()), "pipeline", refuse)
    assert (await looked())["geostream_redis_memory_bytes"] == 0
