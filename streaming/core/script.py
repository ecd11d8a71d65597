"""A Lua script: one atomic step of Redis, for the event loop and for threads."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from typing import Any

from redis.exceptions import NoScriptError

from .publish_trace import storing
from .redis import async_feed_redis, refusing, script_connection, sync_feed_redis
from .script_connection import UNANSWERED


class Script:
    """One script, loaded when Redis does not know it yet. A connection that breaks may have it run twice.

    On a cluster all its keys are on one node, which is found by them. Both ways raise `StreamError("redis_unavailable")`.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = sha1(source.encode(), usedforsecurity=False).hexdigest()

    def run_sync(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run it from a thread or a command."""
        client = sync_feed_redis()
        with refusing(), storing():
            try:
                return client.evalsha(self.sha, len(keys), *keys, *args)
            except NoScriptError:
                return client.eval(self.source, len(keys), *keys, *args)

    async def run(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run it on the event loop."""
        with refusing(), storing():
            connection = script_connection()
            if connection is not None:
                answer = await connection.call("EVALSHA", self.sha, len(keys), *keys, *args)
                if answer is not UNANSWERED:
                    return answer
            client = async_feed_redis()
            try:
                return await client.evalsha(self.sha, len(keys), *keys, *args)
            except NoScriptError:
                return await client.eval(self.source, len(keys), *keys, *args)
