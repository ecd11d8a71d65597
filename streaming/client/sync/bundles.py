"""Bundles: small files and folders that are transferred many at a time, in one request, with one wait for the disk and one for the state.

Only what goes as expected is done here. Everything else is left to be done alone, which finds out why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from streaming.core.errors import StreamError

from .errors import SyncError, Unreachable
from .folder import LocalFolder, NewFile
from .plan import Content, Step
from .remote import Remote, SmallFile
from .state import BaseEntry, State

SMALL_BYTES = 64 * 1024
"""Larger files go alone: their bytes take longer than a request."""
MOST_FILES, MOST_BYTES = 100, 4 * 1024 * 1024


def bundled(steps: Iterable[Step]) -> Iterator[list[Step]]:
    """The steps in groups of those that may go together, in their order; one that goes alone is a group of its own."""
    group: list[Step] = []
    size = 0
    for step in steps:
        if group and not (
            _is_small(step) and step.action == group[0].action and len(group) < MOST_FILES and size + step.size <= MOST_BYTES
        ):
            yield group
            group, size = [], 0
        group.append(step)
        size += step.size
        if not _is_small(step):
            yield group
            group, size = [], 0
    if group:
        yield group


def _is_small(step: Step) -> bool:
    return step.action in ("upload", "download") and step.size <= SMALL_BYTES


class Bundles:
    """Carries out groups of steps."""

    def __init__(self, folder: LocalFolder, remote: Remote, state: State) -> None:
        self._folder, self._remote, self._state = folder, remote, state

    async def carry_out(self, steps: list[Step]) -> dict[str, Content]:
        """Returns what both sides have now, of those that could be done. `Unreachable`."""
        act = self._upload if steps[0].action == "upload" else self._download
        try:
            done = await act(steps)
        except Unreachable:
            raise
        except (SyncError, StreamError, OSError):
            return {}
        self._state.agree(done.values())
        sides = {step.path: step.local if step.action == "upload" else step.remote for step in steps}
        return {path: content for path in done if (content := sides[path]) is not None}

    async def _upload(self, steps: list[Step]) -> dict[str, BaseEntry]:
        files = await asyncio.to_thread(self._read, steps)
        done = await self._remote.upload_many(files) if files else set()
        return await asyncio.to_thread(self._uploaded, [each for each in files if each.path in done])

    def _read(self, steps: list[Step]) -> list[SmallFile]:
        found = []
        for step in steps:
            local, base = step.local, step.remote.hash if step.remote else None
            assert local is not None
            data = None if local.is_directory else self._folder.read_small(step.path, local)
            if local.is_directory == (data is None):
                found.append(SmallFile(step.path, local, data, base))
        return found

    def _uploaded(self, files: list[SmallFile]) -> dict[str, BaseEntry]:
        return {each.path: self._folder.base_entry(each.path, each.content) for each in files}

    async def _download(self, steps: list[Step]) -> dict[str, BaseEntry]:
        files = {step.path: step.remote for step in steps if step.remote is not None and not step.remote.is_directory}
        data = await self._remote.download_many(files) if files else {}
        return await asyncio.to_thread(self._put, steps, data)

    def _put(self, steps: list[Step], data: dict[str, bytes]) -> dict[str, BaseEntry]:
        done: dict[str, BaseEntry] = {}
        files: list[NewFile] = []
        contents: dict[str, Content] = {}
        for step in steps:
            if step.remote is None:
                continue
            if step.remote.is_directory:
                self._folder.make_directory(step.path)
                done[step.path] = self._folder.base_entry(step.path, step.remote)
            elif step.path in data:
                files.append(NewFile(step.path, data[step.path], step.remote.modified_ns, step.local.hash if step.local else None))
                contents[step.path] = step.remote
        for path, stat in self._folder.put_many(files).items():
            done[path] = self._folder.base_entry(path, contents[path], stat)
        return done
