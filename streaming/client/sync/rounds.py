"""One round of a sync: look at both sides, make a plan, check that it is safe, carry it out.

Every round is complete in itself: whatever was interrupted, or has changed meanwhile, is found by the next one. A path is at all times its
old or its new content.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Protocol

from streaming.core.errors import StreamError
from streaming.files.paths import parents
from streaming.files.store import Stat

from .bundles import Bundles, bundled
from .errors import Changed, Refused, SyncError, Unreachable, first_error
from .folder import LocalFolder
from .plan import Content, Mode, Plan, Step, Strategy, check_safety, make_plan
from .remote import Remote
from .state import BaseEntry, State


class Reporter(Protocol):
    """Who shows what happens."""

    def planned(self, plan: Plan) -> None:
        """A round begins."""

    def did(self, what: str, path: str, more: str = "") -> None:
        """Something was done."""

    def failed(self, path: str, error: Exception) -> None:
        """Something could not be done; the next round tries again."""

    def finished(self) -> None:
        """A round ends."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a sync may do."""

    mode: Mode = Mode.TWO_WAY
    strategy: Strategy = Strategy.KEEP_BOTH
    most_deleted: int | None = None
    force_delete: bool = False
    dry_run: bool = False
    transfers: int = 4


@dataclass(slots=True)
class Outcome:
    """What a round did."""

    done: Counter[str] = field(default_factory=Counter)
    conflicts: list[str] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    """Paths that changed under its hands: to be looked at again."""
    failed: dict[str, Exception] = field(default_factory=dict)


class Rounds:
    """The rounds of one folder. `remote_contents` is what the server has, as far as this client knows."""

    def __init__(self, folder: LocalFolder, remote: Remote, state: State, rules: Rules, client_id: str, reporter: Reporter) -> None:
        self.remote_contents: dict[str, Content] = {}
        self._folder, self._remote, self._state = folder, remote, state
        self._rules, self._client_id, self._reporter = rules, client_id, reporter
        self._bundles = Bundles(folder, remote, state)

    async def run(self, tops: Collection[str] = ("",)) -> Outcome:
        """A round about these paths and what is below them; all, by default. `SafetyStop`."""
        whole, some = "" in tops, frozenset(tops)
        base = {path: entry.hash for path, entry in self._state.base().items() if whole or is_below_any(path, some)}
        base = {path: hash for path, hash in base.items() if self._folder.wanted(path)}
        outcome = Outcome()
        left_out: dict[str, str] = {}
        local = await asyncio.to_thread(self._folder.scan, tops, outcome.changed, left_out)
        for path, why in left_out.items():
            self._fail(path, SyncError(f"{path}: {why}"), outcome)
        remote = {path: content for path, content in self.remote_contents.items() if whole or is_below_any(path, some)}
        plan = make_plan(base, local, remote, mode=self._rules.mode)
        self._leave_out(plan, outcome.changed | left_out.keys())
        if not self._rules.force_delete:
            known = base if whole else {path: entry.hash for path, entry in self._state.base().items()}
            check_safety(
                plan, known, local if whole else [*known, *local], remote if whole else [*known, *remote], self._rules.most_deleted
            )
        self._reporter.planned(plan)
        try:
            if self._rules.dry_run:
                for step in plan.steps:
                    self._reporter.did(f"would {step.action.replace('_', ' ')}", step.path)
            else:
                await self._carry_out(plan, outcome)
        finally:
            self._reporter.finished()
        return outcome

    @staticmethod
    def _leave_out(plan: Plan, paths: set[str]) -> None:
        """Nothing is done about what is being written, or cannot be read, nor below it: it would look as if it had been deleted."""

        def stays(path: str) -> bool:
            return path not in paths and paths.isdisjoint(parents(path))

        for group in (plan.make_folders, plan.transfers, plan.delete_files, plan.delete_folders):
            group[:] = [step for step in group if stays(step.path)]
        plan.forget[:] = filter(stays, plan.forget)

    # -- carrying out --------------------------------------------------------------

    async def _carry_out(self, plan: Plan, outcome: Outcome) -> None:
        self._state.agree(await asyncio.to_thread(self._adopted, plan))
        self._state.forget(plan.forget)
        await self._move(plan, outcome)
        for steps in bundled(plan.make_folders):
            await self._try_together(steps, outcome)
        try:
            await self._transfer_all(plan.transfers, outcome)
        except BaseExceptionGroup as group:
            raise first_error(group) from group
        for step in (*plan.delete_files, *plan.delete_folders):
            await self._try(step, outcome)

    def _adopted(self, plan: Plan) -> list[BaseEntry]:
        """In a thread."""
        return [self._folder.base_entry(path, content) for path, content in plan.adopt.items()]

    async def _transfer_all(self, steps: Iterable[Step], outcome: Outcome) -> None:
        room = asyncio.Semaphore(self._rules.transfers)  # of this round: a task that is cancelled before it began gives nothing back

        async def transfer(some: list[Step]) -> None:
            try:
                await self._try_together(some, outcome)
            finally:
                room.release()

        async with asyncio.TaskGroup() as tasks:
            for some in bundled(steps):
                await room.acquire()
                tasks.create_task(transfer(some))

    async def _try_together(self, steps: list[Step], outcome: Outcome) -> None:
        """In one request, then one by one what could not be done so: that says why."""
        done = await self._bundles.carry_out(steps) if len(steps) > 1 else {}
        self.remote_contents |= done
        for step in steps:
            if step.path in done:
                self._count(step, outcome)
            else:
                await self._try(step, outcome)

    async def _try(self, step: Step, outcome: Outcome) -> None:
        try:
            try:
                await self._do(step, outcome)
            except Changed:
                outcome.changed.add(step.path)
                await self._ask_again(step.path)
        except Unreachable:
            raise
        except (SyncError, StreamError, OSError) as error:
            self._fail(step.path, error, outcome)

    def _fail(self, path: str, error: Exception, outcome: Outcome) -> None:
        outcome.failed[path] = error
        self._reporter.failed(path, error)

    async def _ask_again(self, path: str) -> None:
        found = await self._remote.metadata(path)
        if found is None:
            self.remote_contents.pop(path, None)
        else:
            self.remote_contents[path] = found

    async def _do(self, step: Step, outcome: Outcome) -> None:
        if step.action == "conflict":
            await self._settle_conflict(step, outcome)
            return
        action = {
            "upload": self._upload,
            "download": self._download,
            "delete_local": self._delete_local,
            "delete_remote": self._delete_remote,
        }[step.action]
        await action(step)
        self._count(step, outcome)

    def _count(self, step: Step, outcome: Outcome) -> None:
        outcome.done[step.action] += 1
        self._reporter.did(step.action.replace("_", " "), step.path)

    async def _upload(self, step: Step) -> None:
        assert step.local is not None
        if step.local.is_directory:
            await self._remote.make_directory(step.path)
        else:
            await self._upload_file(step.path, step.local, step.remote.hash if step.remote else None)
        await self._agree(step.path, step.local)

    async def _upload_file(self, path: str, content: Content, base: str | None) -> None:
        file = await asyncio.to_thread(self._folder.open_file, path)
        try:
            await self._remote.upload(path, content, file, base)
        finally:
            file.close()

    async def _download(self, step: Step) -> None:
        assert step.remote is not None
        put: Stat | None = None
        if step.remote.is_directory:
            await asyncio.to_thread(self._folder.make_directory, step.path)
        else:
            put = await self._download_file(step.path, step.remote, step.local.hash if step.local else None)
        await self._agree(step.path, step.remote, put)

    async def _download_file(self, path: str, content: Content, expected: str | None) -> Stat:
        staging = self._folder.store.staging
        name = f"download-{content.hash[:32]}-{sha256(path.encode()).hexdigest()[:16]}"  # others may have the same content
        try:
            staged = await asyncio.to_thread(staging.resume, name)
            await asyncio.to_thread(staged.rehash)
        except FileNotFoundError:
            staged = staging.create(name)
        try:
            if staged.size < content.size or content.size == 0:
                await self._remote.download(path, content, staged)
            if staged.hash != content.hash:
                raise Changed(path)
            return await asyncio.to_thread(self._folder.put, path, staged, content.modified_ns, expected)
        except (Unreachable, asyncio.CancelledError):
            staged.close()  # goes on there
            raise
        except BaseException:
            staged.discard()
            raise

    async def _delete_local(self, step: Step) -> None:
        await asyncio.to_thread(self._folder.delete, step.path, step.base)
        if self._folder.store.stat(step.path) is None:
            self._state.forget([step.path])

    async def _delete_remote(self, step: Step) -> None:
        try:
            await self._remote.delete(step.path, step.base or None)
        except Refused as error:
            if error.code != "not_empty":  # somebody has put something into the folder
                raise
            raise Changed(step.path) from error
        self.remote_contents.pop(step.path, None)
        self._state.forget([step.path])

    async def _settle_conflict(self, step: Step, outcome: Outcome) -> None:
        local, remote = step.local, step.remote
        assert local is not None and remote is not None
        strategy = self._rules.strategy
        if strategy is Strategy.NEWER:
            strategy = Strategy.CLIENT if local.modified_ns > remote.modified_ns else Strategy.SERVER
        if strategy is Strategy.CLIENT and not local.is_directory and not remote.is_directory:
            await self._upload(step)
        elif strategy is Strategy.SERVER and not local.is_directory and not remote.is_directory:
            await self._download(step)
        else:
            name = await asyncio.to_thread(self._folder.set_aside, step.path, self._client_id)
            await self._download(replace(step, local=None))
            outcome.conflicts.append(name)
            outcome.changed.add(name)  # it is new, and uploaded by the next round
        outcome.done["conflict"] += 1
        self._reporter.did("conflict", step.path, f"kept as {outcome.conflicts[-1]}" if outcome.conflicts else strategy.value)

    async def _agree(self, path: str, content: Content, stat: Stat | None = None) -> None:
        self.remote_contents[path] = content
        self._state.agree([await asyncio.to_thread(self._folder.base_entry, path, content, stat)])

    # -- moves -------------------------------------------------------------------------

    async def _move(self, plan: Plan, outcome: Outcome) -> None:
        """What disappeared in one place and appeared in another with the same content was moved: nothing has to be transferred."""
        moved_paths: set[str] = set()
        for gone, new in _moves(plan, "delete_remote", "upload"):
            try:
                await self._remote.move(gone.path, new.path)
            except (Changed, Refused):
                continue
            content = self.remote_contents.pop(gone.path)
            self._state.forget([gone.path])
            await self._agree(new.path, new.local or content)
            self._moved(gone, new, outcome, moved_paths)
        for gone, new in _moves(plan, "delete_local", "download"):
            try:
                moved = await asyncio.to_thread(self._folder.move, gone.path, new.path, gone.base or "")
            except (Changed, StreamError):
                continue
            self._state.forget([gone.path])
            await self._agree(new.path, new.remote or Content(""), moved)
            self._moved(gone, new, outcome, moved_paths)
        for group in (plan.delete_files, plan.transfers):
            group[:] = [step for step in group if step.path not in moved_paths]

    def _moved(self, gone: Step, new: Step, outcome: Outcome, moved_paths: set[str]) -> None:
        moved_paths |= {gone.path, new.path}
        outcome.done["move"] += 1
        self._reporter.did("move", gone.path, f"to {new.path}")


def _moves(plan: Plan, gone: str, new: str) -> list[tuple[Step, Step]]:
    arrived: dict[str, Step] = {}
    for step in plan.transfers:
        content = step.local if new == "upload" else step.remote
        if (
            step.action == new
            and content is not None
            and content.size
            and step.base is None
            and (step.remote is None or step.local is None)
        ):
            arrived.setdefault(content.hash, step)
    pairs = []
    for step in plan.delete_files:
        if step.action == gone and step.base and (found := arrived.pop(step.base, None)) is not None:
            pairs.append((step, found))
    return pairs


def is_below_any(path: str, tops: AbstractSet[str]) -> bool:
    """Whether a path is one of these or in one of them; they may be as many as there are files."""
    return path in tops or not tops.isdisjoint(parents(path))
