"""The hub: one per process, on its event loop.
It follows the feeds somebody here looks at. A doorbell brings what was logged, if that is little and follows on where it is. Else, and
after a second without one, it pulls their logs from where it is: many changes come in one pull, and a lost doorbell, a lost connection or
a restarted Redis is repaired by the next one.
It never gives up; while Redis is away, views simply receive nothing.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator
from time import perf_counter
from typing import Any, Protocol, TypeVar

from .doorbell import UNKNOWN, Doorbells, Ring
from .errors import StreamError
from .feed import Cursor, Feed, FeedState, LogEntry, parse_entries
from .follower import Follower
from .loop_watch import loop_watch
from .pulling import NotAnsweredYet, Puller
from .redis import async_feed_redis, close_async_redis, refusing
from .replica import Replica
from .runs import PIECE_SECONDS
from .tail import Tail
from .throttle import Releases
from .turns import Turns

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
POLL_COUNT = 500
"""Feeds looked at without a doorbell in one turn (a presence feed a topic: there may be very many)."""
PULL_COUNT = 2000
REFRESH_TRIES = 10
"""How often one feed is pulled whose node of a cluster has not answered yet; about as many seconds."""
PULL_FEEDS = 100
"""Feeds pulled in one round trip: what others wait for while it is put together."""
SLICE = 100
"""Changes judged before they are delivered, and sent in one write to each client."""
LINGER_SECONDS = 60.0
MOST_RINGS = 100
"""Of one feed, that wait while the hub is busy and bring what was logged. What others have logged is read."""
CONTROL_GROUP = "geostream.control"

F = TypeVar("F", bound=Follower)
Handler = Callable[[dict[str, Any]], None]


class ChannelLayer(Protocol):
    """What the hub needs of a Channels layer."""

    async def new_channel(self) -> str:
        """Make a channel of this process."""

    async def receive(self, channel: str) -> dict[str, Any]:
        """The next message of a channel."""

    async def group_add(self, group: str, channel: str) -> None:
        """Join a group."""

    async def group_discard(self, group: str, channel: str) -> None:
        """Leave a group."""

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send to a group."""

    async def flush(self) -> None:
        """Forget channels and groups, close connections."""


class Hub:
    """Follows feeds for one process. Everything but `control` is called on its event loop."""

    def __init__(self, get_layer: Callable[[], ChannelLayer]) -> None:
        self.node = uuid.uuid4().hex
        self.followers: dict[str, Follower] = {}
        self.kept: frozenset[str] = frozenset()
        """Names of feeds that are followed on though nobody looks at them."""
        self.loop: asyncio.AbstractEventLoop | None = None
        self._get_layer = get_layer
        self._channel = ""
        self._loading: dict[str, asyncio.Task[Follower]] = {}
        self._rung: dict[str, list[Ring]] = {}
        self._rung_early: set[str] = set()  # while they are loaded
        self._doorbells = Doorbells(self._hear, self._look)
        self._looked = -math.inf
        self._announced: dict[str, int] = {}
        self._bell = asyncio.Event()
        self._turn = 0
        self.turns = Turns()
        self.releases = Releases(self.turns)
        self._pulling = asyncio.Lock()
        self._puller = Puller()
        self._tasks: list[asyncio.Task[None]] = []
        self._began = 0.0
        self._handlers: dict[str, Handler] = {}
        self._redis_down = False

    # -- life -------------------------------------------------------------

    async def start(self) -> None:
        """Join the channel layer and begin to pull. `StreamError` if Redis does not answer."""
        self.loop = asyncio.get_running_loop()
        self._began = self.loop.time()
        layer = self._get_layer()
        with refusing():
            self._channel = await layer.new_channel()
            await layer.group_add(CONTROL_GROUP, self._channel)
        await self._doorbells.start()
        for body in (self._listen, self._pull_for_ever):
            self._tasks.append(asyncio.create_task(body()))
        self.every(LINGER_SECONDS / 4, self._drop_idle)

    async def stop(self) -> None:
        """End all tasks and connections."""
        self.releases.stop()
        while self._tasks:
            # Again and again: a cancellation that meets a reply of Redis can get lost in its client.
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=0.2)
            self._tasks = [task for task in self._tasks if not task.done()]
        self._puller.stop()
        await self._doorbells.stop()
        self.followers.clear()
        await self._get_layer().flush()
        await close_async_redis()

    def every(self, seconds: float | Callable[[], float], job: Callable[[], Awaitable[None]]) -> None:
        """Run a job again and again until the hub stops; what goes wrong is logged and tried again.

        All jobs keep one beat, so that one wake-up of the process serves all that are due, and a job rests for at least half of its
        period. Of a job whose pace changes `seconds` is a function, which is asked after each run and kept to exactly.
        """
        self._tasks.append(asyncio.create_task(self._repeat(seconds, job)))

    # -- control messages between processes -------------------------------

    def on(self, kind: str, handler: Handler) -> None:
        """Call `handler` for control messages of this kind, whichever process sent them."""
        self._handlers[kind] = handler

    async def control(self, kind: str, **fields: Any) -> None:
        """Send a control message to every process (at most once, like everything on the channel layer)."""
        await self._get_layer().group_send(CONTROL_GROUP, {"type": kind, **fields})

    # -- following --------------------------------------------------------

    async def replica(self, feed: Feed) -> Replica:
        """The live copy of a feed with state; loaded if nobody here followed it. May be dropped again while it has no views."""
        return await self._follow(feed, Replica)

    async def tail(self, feed: Feed) -> Tail:
        """The end of a feed that is only a log."""
        return await self._follow(feed, Tail)

    async def refresh(self, follower: Follower) -> None:
        """Pull one feed now, so that it shows everything stored before this call."""
        with refusing():
            for tries_left in reversed(range(REFRESH_TRIES)):
                try:
                    while await self._pull([follower]):
                        pass
                    return
                except NotAnsweredYet:
                    if not tries_left:
                        raise

    async def reach(self, follower: Follower, since: Cursor) -> bool:
        """Make every change after `since` available for a resume, if the log still has them."""
        if since.epoch == follower.epoch and since.seq > follower.seq:
            await self.refresh(follower)
        if since.epoch != follower.epoch or since.seq > follower.seq:
            return False
        if not follower.reaches(since):
            entries = await self._read_log(follower, since)
            if since.epoch == follower.epoch:  # it may have been read anew meanwhile
                follower.backfill(entries)
        return follower.reaches(since)

    @property
    def costly_filters(self) -> int:
        """How many different ones are judged here."""
        return sum(follower.costly_filters for follower in self.followers.values())

    def lag(self, feed: str) -> int:
        """Changes of a feed that were announced here and not pulled yet."""
        follower = self.followers.get(feed)
        return 0 if follower is None else max(self._announced.get(feed, 0) - follower.seq, 0)

    async def _follow(self, feed: Feed, kind: type[F]) -> F:
        follower = self.followers.get(feed.name)
        if follower is None:
            task = self._loading.get(feed.name)
            if task is None:
                task = self._loading[feed.name] = asyncio.create_task(self._load(feed, kind))
            follower = await asyncio.shield(task)
        if follower.idle:
            follower.idle_since = time.monotonic()
        if not isinstance(follower, kind):
            raise TypeError(f"feed {feed.name} is followed as {type(follower).__name__}")
        return follower

    async def _load(self, feed: Feed, kind: type[Follower]) -> Follower:
        try:
            await self._doorbells.listen(feed)
            follower = kind(feed, await _read(feed))
            follower.idle_since = time.monotonic()
            follower.on_held = self.releases.hold
            follower.turns = self.turns
            self.followers[feed.name] = follower
            if feed.name in self._rung_early:
                self._rung.setdefault(feed.name, []).append(UNKNOWN)
            self._bell.set()  # from now on it is looked at without doorbells too
            await self._remember(follower)
            return follower
        except BaseException:
            self.followers.pop(feed.name, None)
            self._doorbells.ignore(feed)
            raise
        finally:
            self._rung_early.discard(feed.name)
            del self._loading[feed.name]

    async def _remember(self, follower: Follower) -> None:
        """Keep the line a follower is at: a Redis that lost its end may grow another one in its place."""
        cursor = follower.cursor
        entries = await self._read_log(follower, Cursor(cursor.epoch, cursor.seq - 1))
        if entries and follower.cursor == cursor:
            follower.last = entries[-1]

    async def _read_log(self, follower: Follower, since: Cursor) -> list[LogEntry]:
        with refusing():
            reply: Any = await async_feed_redis().xrange(follower.feed.log_key, f"{since.seq + 1}-0", f"{follower.seq}-0")
        return parse_entries(reply)

    # -- pulling ----------------------------------------------------------

    def _hear(self, feed: str, ring: Ring) -> None:
        follower = self.followers.get(feed)
        if follower is None:
            if feed in self._loading:
                self._rung_early.add(feed)
            return
        if ring.epoch == follower.epoch and ring.seq <= follower.seq:
            return
        self._announced[feed] = ring.seq
        rings = self._rung.setdefault(feed, [])
        if len(rings) < MOST_RINGS:
            rings.append(ring)
        else:
            rings[-1] = ring._replace(lines=[])
        self._bell.set()

    def _look(self) -> None:
        """Look at the logs now."""
        self._looked = -math.inf
        self._bell.set()

    async def _listen(self) -> None:
        layer = self._get_layer()
        while True:
            message = await layer.receive(self._channel)
            if handler := self._handlers.get(message["type"]):
                try:
                    handler(message)
                except Exception:
                    logger.exception("the control message %s could not be handled", message["type"])

    async def _pull_for_ever(self) -> None:
        self._looked = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(POLL_SECONDS if self.followers else None):
                    await self._bell.wait()
            except TimeoutError:
                pass
            self._bell.clear()
            rung, self._rung = self._rung, {}
            try:
                unread = await self._take_rings(rung)
                if time.monotonic() - self._looked >= POLL_SECONDS:
                    self._looked = time.monotonic()
                    unread |= self._in_turn()
                await self._pull_named(unread)
            except Exception:
                logger.exception("a pull failed and will be tried again")

    def _in_turn(self) -> set[str]:
        names = list(self.followers)
        if len(names) <= POLL_COUNT:
            return set(names)
        start = self._turn % len(names)
        self._turn = start + POLL_COUNT
        return set((names + names[:POLL_COUNT])[start : start + POLL_COUNT])

    async def _pull_named(self, names: Iterable[str]) -> None:
        followers = [self.followers[name] for name in names if name in self.followers]
        if not followers:
            return
        try:
            with refusing():
                more = set[str]()
                for start in range(0, len(followers), PULL_FEEDS):
                    more |= await self._pull(followers[start : start + PULL_FEEDS])
        except StreamError as error:
            if not self._redis_down:
                logger.warning("%s; subscribers wait", error)
            self._redis_down = True
            await asyncio.sleep(0.2)
            return
        if self._redis_down:
            logger.warning("Redis answers again")
            self._redis_down = False
        for name in more:
            self._rung.setdefault(name, []).append(UNKNOWN)
            self._bell.set()

    async def _take_rings(self, rung: dict[str, list[Ring]]) -> set[str]:
        """Take what doorbells brought; returns the feeds whose logs have to be read."""
        async with self._pulling:
            unread, until = set(), perf_counter() + PIECE_SECONDS
            for name, rings in rung.items():
                follower = self.followers.get(name)
                if follower is None:
                    continue
                if not await self._take_some(follower, rings):
                    unread.add(name)
                if perf_counter() > until:
                    await asyncio.sleep(0)
                    until = perf_counter() + PIECE_SECONDS
            return unread

    async def _take_some(self, follower: Follower, rings: list[Ring]) -> bool:
        """Take what follows on, without a hole; returns whether that was all."""
        epoch, seq, stamp = follower.epoch, follower.seq, follower.stamp
        entries = list[LogEntry]()
        whole = True
        for ring in rings:
            if ring.epoch == epoch and ring.seq <= seq:
                continue  # a pull has brought it meanwhile
            whole = bool(ring.lines) and (ring.epoch, ring.first, ring.before) == (epoch, seq, stamp)
            if not whole:
                break
            entries += ring.entries()
            seq, stamp = ring.seq, ring.stamp
        if entries:
            if follower.trace is not None:
                follower.trace.pulled(time.time())
            await self._apply(follower, entries)
            follower.stamp = stamp
            if follower.trace is not None:
                follower.trace.done(follower.seq)
        return whole

    async def _pull(self, followers: list[Follower]) -> set[str]:
        """One round trip for all of them; returns the names of those that have more waiting."""
        async with self._pulling:
            began = time.time()
            replies = await self._puller.pull([(follower.feed, follower.seq) for follower in followers], PULL_COUNT + 1)
            traces = [follower.trace for follower in followers if follower.trace is not None]
            for trace in traces:
                trace.pulled(began)
            more, until = set(), perf_counter() + PIECE_SECONDS
            for follower, pulled in zip(followers, replies, strict=True):
                if pulled is None:
                    continue  # it is looked at again in a second
                if await self._take(follower, pulled.meta, parse_entries(pulled.lines)) or pulled.late:
                    more.add(follower.feed.name)
                if follower.trace is not None:
                    follower.trace.done(follower.seq)
                if perf_counter() > until:
                    await asyncio.sleep(0)
                    until = perf_counter() + PIECE_SECONDS
            return more

    async def _take(self, follower: Follower, meta: list[bytes | None], entries: list[LogEntry]) -> bool:
        epoch = meta[0].decode() if meta[0] else ""
        seq = int(meta[1] or 0)
        here = entries.pop(0) if entries and entries[0].seq == follower.seq else None
        forked = here is not None and follower.last is not None and here != follower.last
        went_back = epoch in follower.past_epochs
        if went_back or (epoch == follower.epoch and (seq < follower.seq or forked)):
            logger.warning("Redis lost the end of %s; its cursors are void", follower.feed.name)
            await follower.feed.renew(epoch)
        follows_on = entries[0].seq == follower.seq + 1 if entries else seq == follower.seq
        if epoch != follower.epoch or not follows_on or forked:
            follower.last = None
            follower.past_epochs.add(follower.epoch)
            state = await _read(follower.feed)
            await self._do(follower, follower.replacing(state, await follower.compare(state)))
            follower.stamp = state.stamp
            follower.past_epochs.discard(follower.epoch)
            await self._remember(follower)
            return False
        follower.last = here or follower.last
        await self._apply(follower, entries)
        follower.stamp = (meta[2] or b"") if follower.seq == seq else None
        return len(entries) >= PULL_COUNT

    async def _apply(self, follower: Follower, entries: list[LogEntry]) -> None:
        for start in range(0, len(entries), SLICE):
            if start:
                await asyncio.sleep(0)
            await self._do(follower, follower.pieces(entries[start : start + SLICE]))

    @staticmethod
    async def _do(follower: Follower, pieces: Iterator[None]) -> None:
        """Do a follower's work in pieces, between which everything else has its turn."""
        try:
            for _ in loop_watch.pieces(pieces, "hub", "changes", follower.feed.name):
                await asyncio.sleep(0)
        finally:  # cancelled: whoever asked is gone, but what was taken has to be delivered
            for _ in pieces:
                pass

    async def _drop_idle(self) -> None:
        for name, follower in list(self.followers.items()):
            if not follower.idle or name in self.kept:
                continue
            if follower.idle_since is None:
                follower.idle_since = time.monotonic()
            elif time.monotonic() - follower.idle_since > LINGER_SECONDS:
                del self.followers[name]
                self._announced.pop(name, None)
                self._doorbells.ignore(follower.feed)

    async def _repeat(self, seconds: float | Callable[[], float], job: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds() if callable(seconds) else self._until_beat(seconds))
            try:
                await job()
            except StreamError as error:
                logger.warning("%s: %s", job.__qualname__, error)
            except Exception:
                logger.exception("%s failed and will be tried again", job.__qualname__)

    def _until_beat(self, seconds: float) -> float:
        """Seconds to the next beat of this period, or to the one after it: half a period to one and a half."""
        passed = asyncio.get_running_loop().time() - self._began
        return (math.floor(passed / seconds + 0.5) + 1) * seconds - passed


async def _read(feed: Feed) -> FeedState:
    """The whole of a feed; read in a thread, because of a large one that takes a tenth of a second."""
    return await (await asyncio.to_thread(feed.read_sync)).parse()
