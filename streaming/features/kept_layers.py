"""Large layers stay in the memory of each process from its start on: no client should wait while a million features are loaded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from django.db import DatabaseError

from streaming.core.errors import StreamError
from streaming.core.feed import Feed
from streaming.engine.conf import conf
from streaming.engine.runtime import Runtime

from .layers import catalogue, feature_counts, layer_feed

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
"""How often it is found out which layers are large."""
MOST_SECONDS = 30.0
"""A new process counts as ready after so long, whether it has all of them or not."""


class KeptLayers:
    """Those with at least `GEOSTREAM_KEPT_FEATURES` features."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.loading = False
        """Whether this process has just started, and has not got them yet."""

    async def start(self) -> None:
        """Find out which are large, and begin to load them."""
        try:
            feeds = await self._find()
        except DatabaseError as error:
            logger.warning("large layers are not loaded for now: %s", error)
            feeds = []
        if feeds:
            self.loading = True
            self._runtime.spawn(self._load_first(feeds))
        self._runtime.hub.every(LOOK_SECONDS, self._look)

    async def _load_first(self, feeds: Sequence[Feed]) -> None:
        try:
            async with asyncio.timeout(MOST_SECONDS):
                await self._load(feeds)
        except TimeoutError:
            logger.warning("large layers are still being loaded; clients that ask for one have to wait")
        except StreamError as error:
            logger.warning("large layers are not loaded for now: %s", error)
        finally:
            self.loading = False

    async def _look(self) -> None:
        await self._load(await self._find())

    async def _find(self) -> list[Feed]:
        """The feeds of those that are large now; the hub does not let go of these."""
        layers = await catalogue.all(LOOK_SECONDS) if conf.KEPT_FEATURES else {}
        counts = await asyncio.to_thread(feature_counts, list(layers)) if layers else {}
        feeds = [layer_feed(layers[name]) for name, count in counts.items() if count >= conf.KEPT_FEATURES]
        if counts or not layers:  # else Redis did not answer
            self._runtime.hub.kept = frozenset(feed.name for feed in feeds)
        return feeds

    async def _load(self, feeds: Sequence[Feed]) -> None:
        for feed in feeds:
            await self._runtime.hub.replica(feed)
