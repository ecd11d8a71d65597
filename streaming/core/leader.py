"""Leader election: of all processes, one does what only one may do at a time.

The leader's name is in a key of Redis, with a lease: a leader that does not renew it in time is one no more. A new leader is
announced on the channel of the same name, and so is, as an empty message, that there is none any more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from .bus import Arrival, Bus
from .errors import StreamError
from .redis import async_redis, refusing
from .tasks import cancel

logger = logging.getLogger(__name__)

RENEW_SECONDS, LEASE_SECONDS = 1.0, 3.0

# KEYS: the key. ARGV: the node, for how long in ms, whether it knows that it is the leader. Returns whether it is.
_CLAIM = """
local leader = redis.call('GET', KEYS[1])
if leader and leader ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if ARGV[3] == '0' or not leader then redis.call('PUBLISH', KEYS[1], ARGV[1]) end
return 1
"""

# KEYS: the key. ARGV: the node, which is the leader no more.
_RESIGN = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return redis.call('PUBLISH', KEYS[1], '')
"""


def _ignored(tried_at: float) -> None:
    pass


class Leader:
    """One process's candidacy for one task: it claims the key, renews its lease while it leads, and resigns.

    With a bus, which must be on the Redis in use, a process begins to lead when it is announced there: behind all that the leader
    before it has published on that bus. And when a leader resigns, another process claims the key at once, not with its next try.
    """

    def __init__(
        self,
        key: str,
        node: str,
        task: str,
        *,
        able: Callable[[], bool],
        on_lead: Callable[[bool], None],
        on_follow: Callable[[float], None] = _ignored,
        bus: Bus | None = None,
    ) -> None:
        """`task` is for the log, such as "feeds layers". A process that is not `able` leaves the task to others.

        `on_lead` is called with each renewal while this process leads, with True as it begins to. `on_follow` is called with each try
        while another process leads, with the (monotonic) time at which the try began.
        """
        self._key = key
        self._node = node
        self._task = task
        self._able = able
        self._on_lead = on_lead
        self._on_follow = on_follow
        self._bus = bus
        self._until = self._claimed_until = 0.0
        self._wake = asyncio.Event()
        self._renewals: asyncio.Task[None] | None = None
        self._stopped = False
        if bus is not None:
            bus.on_channel(key, self._announced)

    @property
    def leading(self) -> bool:
        """Whether this is the leader: at most until its lease is over, whatever Redis would answer."""
        return time.monotonic() < self._until

    def start(self) -> None:
        """Claim the key, again and again, and renew the lease."""
        self._renewals = asyncio.create_task(self._renew_for_ever())

    async def stop(self) -> None:
        """Claim and renew no more. A leader remains it until its lease is over, or until it resigns."""
        self._stopped = True
        if self._renewals is not None:
            await cancel([self._renewals])

    async def resign(self) -> None:
        """Let another process lead; one that does not lead does nothing."""
        self._until = self._claimed_until = 0.0
        try:
            await resign(self._key, self._node)
        except StreamError as error:
            logger.info("another process %s in a few seconds: %s", self._task, error)

    def step_down(self) -> None:
        """Lead no more, for Redis knows another leader, or none; and try again at once."""
        self._until = 0.0
        self._wake.set()

    async def renew(self) -> None:
        """Claim the key or renew the lease, once. `StreamError` if Redis does not answer."""
        if self._stopped or not self._able():
            return
        now, leading = time.monotonic(), self.leading
        self._claimed_until = now + LEASE_SECONDS
        if not await claim(self._key, self._node, LEASE_SECONDS, leading):
            self._until = self._claimed_until = 0.0
            self._on_follow(now)
        elif leading or self._bus is None:
            self._lead(began=not leading)

    def _lead(self, began: bool) -> None:
        self._until = self._claimed_until
        self._on_lead(began)

    def _announced(self, arrivals: Sequence[Arrival]) -> None:
        leader = arrivals[-1].payload.decode(errors="replace")
        if leader != self._node:
            self._until = 0.0
        elif time.monotonic() < self._claimed_until:
            self._lead(began=True)
        if not leader:
            self._wake.set()

    async def _renew_for_ever(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self.renew()
            except StreamError as error:
                logger.warning("no process %s for a moment: %s", self._task, error)
            except Exception:
                logger.exception("whether this process %s is not known and will be tried again", self._task)
            with suppress(TimeoutError):
                async with asyncio.timeout(RENEW_SECONDS):
                    await self._wake.wait()


async def claim(key: str, node: str, seconds: float, known: bool) -> bool:
    """Be the leader for so long, if no other node is. A new one, or one that does not know it (not `known`), is announced."""
    with refusing():
        return bool(await async_redis().register_script(_CLAIM)([key], [node, int(seconds * 1000), int(known)]))


async def resign(key: str, node: str) -> None:
    """Another one may be the leader."""
    with refusing():
        await async_redis().register_script(_RESIGN)([key], [node])
