"""Whether this process can serve: what `/readyz` answers, and what a new process waits for before an old one is ended."""

from __future__ import annotations

import asyncio
from typing import Any

from channels.db import database_sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection

from streaming.core.errors import StreamError
from streaming.core.redis import async_redis, cluster_address, find_redis, refusing

from .lifespan import running

ANSWER_SECONDS = 2.0
"""How long Redis may take before the process counts as not ready."""


async def readiness() -> dict[str, bool]:
    """Named answers, all True when the process can serve: Redis and the database answer, the hub runs, every service is well."""
    runtime = running()
    checks = {"redis": await _redis_answers(), "database": await _database_answers(), "hub": runtime is not None}
    for service in [] if runtime is None else runtime.services:
        checks |= service.health()
    return checks


async def _redis_answers() -> bool:
    try:
        with refusing():
            async with asyncio.timeout(ANSWER_SECONDS):
                await find_redis()
                await async_redis().ping()
                return cluster_address() is None or await _cluster_is_whole()
    except (StreamError, ImproperlyConfigured, TimeoutError):
        return False


async def _cluster_is_whole() -> bool:
    """Whether the nodes serve all keys, as one of them sees it."""
    info: Any = await async_redis().cluster("INFO")
    return bool(info["cluster_state"] == "ok")


@database_sync_to_async
def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return bool(cursor.fetchone() == (1,))
    except DatabaseError:
        return False
