"""The sync of one folder, from its first round to the end: once, at intervals, or live."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import watchfiles

from streaming.files.paths import is_below, is_internal

from .announcements import Announced, Announcements
from .errors import Unreachable
from .folder import LocalFolder
from .large_transfers import LargeTransfers
from .plan import Step
from .remote import Remote
from .rounds import Outcome, Reporter, Rounds, Rules
from .state import State

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 0.3
RESCAN_SECONDS = 600.0
MOST_AGAIN = 20
"""Rounds in a row about paths that change all the time."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
AGAIN_SECONDS = 0.3
"""When a path that failed, or changes all the time, is tried again; twice as long each time."""


class SyncClient:
    """Keeps one folder the same as the server's."""

    def __init__(
        self,
        folder: LocalFolder,
        remote: Remote,
        state: State,
        rules: Rules,
        client_id: str,
        reporter: Reporter,
        *,
        announcements_url: str = "",
        token: str = "",
    ) -> None:
        self._folder, self._remote, self._reporter = folder, remote, reporter
        self._transfers = rules.transfers
        self._rounds = Rounds(folder, remote, state, rules, client_id, reporter)
        self._announcements = Announcements(announcements_url, client_id, state, token, self._announced, self._resync)
        self._dirty: dict[str, float] = {}
        """Paths to be looked at, and when something last happened to them."""
        self._tries: Counter[str] = Counter()
        """How often in a row a path could not be done."""
        self._list_again = True
        self._wake = asyncio.Event()
        self.last = Outcome()

    async def once(self) -> Outcome:
        """Until both sides are the same, or what is left changes all the time. `SyncError`."""
        total = Outcome()
        tops: Collection[str] = ("",)
        for _ in range(MOST_AGAIN):
            await self._list()
            outcome = await self._rounds.run(tops)
            total.done.update(outcome.done)
            total.conflicts += outcome.conflicts
            total.failed = outcome.failed
            tops = outcome.changed
            if not tops:
                break
            await asyncio.sleep(SETTLE_SECONDS)
            self._list_again = False
        total.changed = set(tops) if tops != ("",) else set()
        return total

    async def every(self, seconds: float) -> None:
        """Again and again, also when the server was away for a while."""
        while True:
            try:
                self.last = await self.once()
            except Unreachable as error:
                logger.warning("%s; trying again in %.0f s", error, seconds)
            self._list_again = True
            await asyncio.sleep(seconds)

    async def live(self) -> None:
        """At once, as it happens, on both sides."""
        async with asyncio.TaskGroup() as tasks:
            self._rounds.large = LargeTransfers(self._transfer, self._transfers, tasks)
            tasks.create_task(self._announcements.follow())
            tasks.create_task(self._watch())
            tasks.create_task(self._keep_same())

    # -- what happens ------------------------------------------------------------

    def _announced(self, changes: list[Announced]) -> None:
        for path, content in ((each.path, each.content) for each in changes):
            if not self._folder.wanted(path):
                continue
            if content is None:
                self._rounds.remote_contents.pop(path, None)
            else:
                self._rounds.remote_contents[path] = content
            self._dirty.setdefault(path, 0.0)
        self._wake.set()

    def _resync(self) -> None:
        self._list_again = True
        self._dirty[""] = 0.0
        self._wake.set()

    async def _watch(self) -> None:
        root = self._folder.root.resolve()
        self._dirty[""] = 0.0
        async for events in watchfiles.awatch(root, watch_filter=None, recursive=True, step=50, debounce=200):
            now = time.monotonic()
            for _, name in events:
                with suppress(ValueError):
                    path = Path(name).relative_to(root).as_posix()
                    if not is_internal(path):
                        self._dirty["" if path == "." else path] = now
            self._wake.set()

    async def _keep_same(self) -> None:
        await self._announcements.connected.wait()
        wait, rescan_at = FIRST_WAIT, 0.0
        while True:
            try:
                if time.monotonic() > rescan_at:
                    self._dirty[""] = 0.0
                    rescan_at = time.monotonic() + RESCAN_SECONDS
                tops = self._settled()
                if tops:
                    await self._round(tops)
                wait = FIRST_WAIT
            except Unreachable as error:
                logger.warning("%s; trying again", error)
                self._resync()
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT)
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_SECONDS if self._dirty else 5.0):
                    await self._wake.wait()

    def _settled(self) -> list[str]:
        before = time.monotonic() - SETTLE_SECONDS
        tops = [path for path, at in self._dirty.items() if at <= before]
        for path in tops:
            del self._dirty[path]
        return [""] if "" in tops else tops

    async def _round(self, tops: list[str]) -> None:
        if self._list_again:
            tops = [""]
            await self._list()
        try:
            self.last = await self._rounds.run(tops)
        except BaseException:
            self._dirty |= dict.fromkeys(tops, 0.0)
            raise
        self._look_again(self.last, tops)

    async def _transfer(self, step: Step) -> None:
        """One that goes on beside the rounds."""
        outcome = Outcome()
        try:
            await self._rounds.try_alone(step, outcome)
        except Unreachable as error:
            logger.warning("%s; trying again", error)
            outcome.changed.add(step.path)
        self._look_again(outcome, [step.path], done=step.path)
        self._wake.set()

    def _look_again(self, outcome: Outcome, tops: Collection[str], done: str | None = None) -> None:
        """At what could not be done, later and later. What a transfer is going on about has not been done yet, unless that is the one."""
        undone = outcome.changed | outcome.failed.keys()
        running = set() if self._rounds.large is None else self._rounds.large.held - {done}
        for path in [path for path in self._tries if path not in undone | running and any(is_below(path, top) for top in tops)]:
            del self._tries[path]
        now = time.monotonic()
        for path in undone:
            self._dirty[path] = now + min(AGAIN_SECONDS * 2.0 ** min(self._tries[path], 16), LONGEST_WAIT)
            self._tries[path] += 1

    async def _list(self) -> None:
        if not self._list_again:
            return
        listing = await self._remote.list(self._folder.wanted)
        self._rounds.remote_contents.clear()
        self._rounds.remote_contents.update(listing.contents)
        self._announcements.agreed(listing.seq, listing.epoch)
        self._list_again = False
