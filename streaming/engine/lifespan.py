"""The one runtime of a process: started by the server's lifespan or, where there is none (daphne), by the first connection."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from streaming.core.errors import StreamError
from streaming.core.redis import find_redis

from .runtime import Runtime

logger = logging.getLogger(__name__)

_current: Runtime | None = None
_starting: asyncio.Task[Runtime] | None = None


def running() -> Runtime | None:
    """The runtime of this process, if it has one. This is how threads find it."""
    return _current


async def get_runtime() -> Runtime:
    """The runtime of this process and event loop, started if need be."""
    global _starting
    loop = asyncio.get_running_loop()
    if _current is not None and _current.hub.loop is loop:
        return _current
    if _starting is None or _starting.done() or _starting.get_loop() is not loop:
        _starting = asyncio.create_task(_start())
    try:
        return await asyncio.shield(_starting)
    finally:
        if _starting is not None and _starting.done():
            _starting = None


async def _start() -> Runtime:
    global _current
    try:
        await find_redis()
        runtime = Runtime()
        await runtime.start()
    except ImproperlyConfigured as error:
        logger.error("the server cannot start: %s", error)
        raise StreamError("internal", "the server is not set up; its log says what is missing") from error
    _current = runtime
    return runtime


async def stop_runtime() -> None:
    """Stop this process's runtime."""
    global _current
    runtime, _current = _current, None
    if runtime is not None:
        await runtime.stop()


def announce_end() -> None:
    """The server is about to end: nothing is to be held open for clients any longer."""
    if _current is not None:
        _current.ending()


async def lifespan(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI lifespan: start before the first request, stop after the last."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await get_runtime()
            except StreamError as error:
                reason = error.__cause__ if isinstance(error.__cause__, ImproperlyConfigured) else error
                await send({"type": "lifespan.startup.failed", "message": str(reason)})
                return
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await stop_runtime()
            await send({"type": "lifespan.shutdown.complete"})
            return
