"""The diagnoses that the dashboard shows: made by one process at a time, in a thread, and told by whichever writes the frame."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from channels.db import database_sync_to_async

from streaming.core.errors import StreamError
from streaming.core.redis import async_redis, refusing
from streaming.engine.diagnosis import Level, findings
from streaming.engine.registry import all_live_diagnoses

from .health import Problem

logger = logging.getLogger(__name__)

SECONDS = 15
"""How often they are made."""
CLAIM_KEY = "geostream:monitor:diagnosing"
FOUND_KEY = "geostream:monitor:diagnosed"
_problems = msgspec.json.Decoder(list[Problem]).decode


def diagnosed() -> list[Problem]:
    """What is not well, the worst first. For threads."""
    found = sorted((each for each in findings(all_live_diagnoses()) if each.level), key=lambda each: -each.level)
    return [
        Problem("bad" if each.level is Level.ERROR else "note", f"{each.subject}: {each.message} {each.hint}".strip()) for each in found
    ]


async def known() -> list[Problem]:
    """What was found the last time. `StreamError` if Redis does not answer."""
    with refusing():
        data: Any = await async_redis().get(FOUND_KEY)
    try:
        return [] if data is None else _problems(data)
    except msgspec.DecodeError:  # of a process of another version
        return []


async def look(node: str) -> None:
    """Make them, if nobody has for `SECONDS`."""
    try:
        with refusing():
            if not await async_redis().set(CLAIM_KEY, node, nx=True, ex=SECONDS):
                return
        found = await database_sync_to_async(diagnosed, thread_sensitive=False)()
        with refusing():
            await async_redis().set(FOUND_KEY, msgspec.json.encode(found), ex=4 * SECONDS)
    except StreamError as error:
        logger.debug("nothing was diagnosed: %s", error)
