"""Whoever uses Redis goes to the new primary though the old one goes on answering, as one does that is cut off from all others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as aioredis
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from streaming.core import redis_pools, script_connection
from streaming.core.redis_address import Host
from streaming.core.redis_pools import AsyncPrimaryPool, PrimaryPool
from streaming.core.redis_primary import AsyncFinder
from streaming.core.script_connection import UNANSWERED, ScriptConnection

from .nodes import RedisNode


class Servers:
    """Two servers, of which the first is said to be the primary until another is."""

    sentinels = ()

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.old, self.new = (RedisNode(folder / name, stack, 'save ""\n') for name in ("old", "new"))
        self.primary = self.old

    def discover_master(self, service_name: str) -> Host:
        return self.primary.host, self.primary.port


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(tmp_path_factory.mktemp("following"), stack)


@pytest.fixture
def servers(both: Servers, monkeypatch: pytest.MonkeyPatch) -> Servers:
    for module in (redis_pools, script_connection):
        monkeypatch.setattr(module, "FOLLOW_SECONDS", 0.0)
    both.primary = both.old
    return both


@pytest.fixture
async def pool(servers: Servers) -> AsyncIterator[AsyncPrimaryPool]:
    pool: Any = AsyncPrimaryPool
    pool = pool("", AsyncFinder(servers), connection_class=redis_pools._AsyncConnection, protocol=2)
    yield pool
    await pool.disconnect()


def port_of(found: Any) -> int:
    """Of the answer to `CONFIG GET port`."""
    return int(found["port"] if isinstance(found, dict) else found[1])


def test_from_a_thread(servers: Servers) -> None:
    pool: Any = PrimaryPool
    client = Redis.from_pool(pool("", servers, connection_class=redis_pools._Connection, protocol=2))
    assert port_of(client.config_get("port")) == servers.old.port
    servers.primary = servers.new
    assert port_of(client.config_get("port")) == servers.new.port
    client.close()


def test_what_was_not_answered_is_asked_again_of_the_new_one(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_pools, "FOLLOW_SECONDS", 1000.0)
    options = {"socket_timeout": 0.2, "retry": Retry(NoBackoff(), 1), "protocol": 2}
    pool: Any = PrimaryPool
    client = Redis.from_pool(pool("", servers, connection_class=redis_pools._Connection, **options))
    client.ping()
    servers.primary = servers.new
    servers.old.freeze()
    assert port_of(client.config_get("port")) == servers.new.port
    servers.old.thaw()
    client.close()


async def test_on_an_event_loop(servers: Servers, pool: AsyncPrimaryPool) -> None:
    client = aioredis.Redis(connection_pool=pool)
    assert port_of(await client.config_get("port")) == servers.old.port
    servers.primary = servers.new
    assert port_of(await client.config_get("port")) == servers.new.port


async def test_with_a_connection_that_was_in_use_meanwhile(servers: Servers, pool: AsyncPrimaryPool) -> None:
    connection = await pool.get_connection()
    servers.primary = servers.new
    await pool.get_master_address()
    await pool.release(connection)
    assert port_of(await aioredis.Redis(connection_pool=pool).config_get("port")) == servers.new.port


async def test_who_waits_for_an_answer_of_the_old_one_waits_no_more(servers: Servers, pool: AsyncPrimaryPool) -> None:
    client: Any = aioredis.Redis(connection_pool=pool)
    waiting = asyncio.create_task(client.blpop(["list"], 0))
    async with asyncio.timeout(10):
        while not servers.old.client.info("clients")["blocked_clients"]:
            await asyncio.sleep(0.002)
        servers.primary = servers.new
        await client.ping()
        with pytest.raises(RedisConnectionError):
            await waiting


async def test_with_scripts(servers: Servers, pool: AsyncPrimaryPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script_connection, "async_blocking_pool", lambda url, **options: pool)
    scripts = ScriptConnection(lambda: "")
    async with asyncio.timeout(10):
        while await scripts.call("CONFIG", "GET", "port") is UNANSWERED:
            await asyncio.sleep(0.002)
        servers.primary = servers.new
        while (found := await scripts.call("CONFIG", "GET", "port")) is UNANSWERED or port_of(found) != servers.new.port:
            await asyncio.sleep(0.002)
    await scripts.close()
