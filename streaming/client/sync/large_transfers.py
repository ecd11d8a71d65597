"""Large transfers of a live sync. They go on beside its rounds, so that a small file does not wait for a large one.

The path of a transfer is held: rounds do nothing about it. A transfer that was planned for something else than is there by now is
cancelled, and its path looked at again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from .plan import Content, Step

LARGE_BYTES = 1024 * 1024
"""Larger files are transferred beside the rounds."""


@dataclass(frozen=True, slots=True)
class _Running:
    step: Step
    task: asyncio.Task[None]


class LargeTransfers:
    """Those of one client, at most so many at once; the others wait for their turn. They are tasks of a group, and end with it."""

    def __init__(self, transfer: Callable[[Step], Awaitable[None]], most: int, tasks: asyncio.TaskGroup) -> None:
        self._transfer, self._tasks = transfer, tasks
        self._room = asyncio.Semaphore(most)
        self._running: dict[str, _Running] = {}

    @property
    def held(self) -> AbstractSet[str]:
        """The paths that are being transferred, or are about to be."""
        return self._running.keys()

    def begin(self, step: Step) -> None:
        """Transfer a file whose path is not held."""
        assert step.path not in self._running
        task = self._tasks.create_task(self._run(step))
        self._running[step.path] = _Running(step, task)
        task.add_done_callback(lambda _: self._running.pop(step.path))  # also of one that was cancelled before it began

    async def cancel_outdated(self, local: Mapping[str, Content], remote: Mapping[str, Content], covers: Callable[[str], bool]) -> set[str]:
        """End those, of the paths that were looked at, for which one side has changed; returns their paths."""
        outdated = [
            each for path, each in self._running.items() if covers(path) and not _is_current(each.step, local.get(path), remote.get(path))
        ]
        for each in outdated:
            each.task.cancel()
        if outdated:
            await asyncio.wait([each.task for each in outdated])
        return {each.step.path for each in outdated}

    async def _run(self, step: Step) -> None:
        async with self._room:
            await self._transfer(step)


def is_large(step: Step) -> bool:
    """Whether a step is a transfer that goes beside the rounds."""
    return step.action in ("upload", "download") and step.size > LARGE_BYTES


def _is_current(step: Step, local: Content | None, remote: Content | None) -> bool:
    """Whether both sides are as planned, or the other one has the file already: then the transfer is about to end."""
    new = step.local if step.action == "upload" else step.remote
    here, there, arrived = _hash(local), _hash(remote), _hash(new)
    if step.action == "upload":
        return here == arrived and there in (_hash(step.remote), arrived)
    return there == arrived and here in (_hash(step.local), arrived)


def _hash(content: Content | None) -> str | None:
    return None if content is None else content.hash
