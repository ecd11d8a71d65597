"""The folder from threads of a server process, such as the admin's pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from django.http import HttpRequest

from streaming.core.errors import StreamError
from streaming.engine.lifespan import running

from .changes import Actor
from .folder import Folder
from .service import FilesService

T = TypeVar("T")
SECONDS = 60.0
"""How long a thread waits."""


def in_folder(act: Callable[[Folder], Coroutine[Any, Any, T]]) -> T:
    """Do something with the folder on the event loop of the server, and wait for it. `StreamError`, also where there is no server."""
    runtime = running()
    loop = None if runtime is None else runtime.hub.loop
    if runtime is None or loop is None:
        raise StreamError("internal", "only server processes have the folder: this one is none, or has not begun")

    async def acting() -> T:
        async with asyncio.timeout(SECONDS):
            return await act(await runtime.service(FilesService).folder())

    try:
        return asyncio.run_coroutine_threadsafe(acting(), loop).result()
    except TimeoutError:
        raise StreamError("busy", "this takes too long; look again in a while") from None


def actor_of(request: HttpRequest) -> Actor:
    """Who sends a request to Django."""
    return Actor(request.user.get_username(), None, request.META.get("REMOTE_ADDR", ""))
