"""The index of the folder in one process: the paths in order, the directories that they imply, twins, and the bytes used.

It observes the replica, so it is as up to date as that. A directory exists because somebody made it, or because something is in it; one
of the second kind is in no record, and goes with the last file.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from streaming.core.follower import Replacement
from streaming.core.items import Change, Item
from streaming.core.replica import Replica

from .metadata import FileMetadata, FileRecord, record_of
from .paths import parents, twin_key


class FolderIndex:
    """Made of a replica, and kept with it from `build` to `close`."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self._early: list[Replacement] | None = []
        """What changes while it is being built."""

    async def build(self, run: Callable[..., Awaitable[None]]) -> FolderIndex:
        """Look at everything there is, in a thread: of a large folder that takes a moment."""
        self.replica.observe(self)
        await run(self._rebuild, dict(self.replica.items))
        early, self._early = self._early, None
        for replacement in early or ():
            self._take(*replacement)
        return self

    def close(self) -> None:
        """Observe no more."""
        self.replica.unobserve(self)

    # -- what it knows -------------------------------------------------------

    @property
    def files(self) -> int:
        """How many records there are."""
        return len(self.replica.items)

    @property
    def paths(self) -> int:
        """How many files and directories there are, implied ones as well."""
        return len(self._paths)

    def record(self, path: str) -> FileRecord | None:
        """The record of a path, as this process knows it."""
        item = self.replica.items.get(path)
        return None if item is None else record_of(item)

    def is_directory(self, path: str) -> bool:
        """Whether it is a directory, made or implied."""
        if path in self._entries or not path:
            return True
        record = self.record(path)
        return record is not None and record.directory

    def entries_in(self, directory: str) -> int:
        """How many files and directories are right in it."""
        return self._entries.get(directory, 0)

    def twin(self, path: str) -> str | None:
        """A path that is there and that some file systems take for this one, or for a directory that this one is in."""
        for part in (*parents(path), path):
            known = self._twins.get(twin_key(part))
            if known is not None and known != part:
                return known
        return None

    def missing_parent(self, path: str) -> str | None:
        """The topmost directory above a path that would have to be made."""
        return next((parent for parent in parents(path) if not self.is_directory(parent)), None)

    def below(self, top: str, after: str = "") -> Iterator[str]:
        """The paths below a directory in order, implied directories too; those behind `after`."""
        start = f"{top}/" if top else ""
        at = bisect_left(self._paths, max(start, f"{after}\0" if after else ""))
        while at < len(self._paths) and self._paths[at].startswith(start):
            yield self._paths[at]
            at += 1

    def inside(self, top: str, after: str = "") -> Iterator[str]:
        """The paths right in a directory in order."""
        start = f"{top}/" if top else ""
        at = bisect_left(self._paths, max(start, f"{after}\0" if after else ""))
        while at < len(self._paths) and self._paths[at].startswith(start):
            path = self._paths[at]
            if "/" in path[len(start) :]:
                at = bisect_left(self._paths, path[: path.index("/", len(start))] + "0", at)  # "0" follows "/"
                continue
            yield path
            at += 1

    def metadata(self, path: str) -> FileMetadata | None:
        """The metadata of a path, also of an implied directory."""
        record = self.record(path)
        if record is None:
            if path not in self._entries:
                return None
            record = FileRecord(0, "", self._newest.get(path, 0), directory=True)
        return record.metadata(path)

    # -- observing -------------------------------------------------------------

    def changed(self, changes: Sequence[Change]) -> None:
        """Take what happened in one turn."""
        for change in changes:
            self._take(change.key, change.old, change.new)

    def replaced(self, different: Sequence[Replacement] | None) -> None:
        """The state was read anew."""
        if different is None:
            self._rebuild(self.replica.items)
        for replacement in different or ():
            self._take(*replacement)

    def _take(self, path: str, before: Item | None, after: Item | None) -> None:
        if self._early is not None:
            self._early.append((path, before, after))
            return
        old = None if before is None else record_of(before)
        new = None if after is None else record_of(after)
        self.bytes += (new.size if new else 0) - (old.size if old else 0)
        if old is None and new is not None:
            self._add(path, new)
        elif old is not None and new is None:
            self._remove(path)

    def _rebuild(self, items: Mapping[str, Item]) -> None:
        self.bytes = 0
        """What all files take together."""
        self._paths: list[str] = []
        self._made: set[str] = set()
        self._entries: dict[str, int] = {}
        self._newest: dict[str, int] = {}
        self._twins: dict[str, str] = {}
        for path in sorted(items):
            record = record_of(items[path])
            self.bytes += record.size
            self._add(path, record)

    def _add(self, path: str, record: FileRecord) -> None:
        for parent in parents(path):
            self._newest[parent] = max(self._newest.get(parent, 0), record.modified)
        is_new = path not in self._made and path not in self._entries
        self._made.add(path)
        if is_new:
            self._appear(path)

    def _remove(self, path: str) -> None:
        self._made.discard(path)
        if path not in self._entries:  # else it stays, implied
            self._disappear(path)

    def _appear(self, path: str) -> None:
        if not self._paths or path > self._paths[-1]:
            self._paths.append(path)
        else:
            insort(self._paths, path)
        self._twins[twin_key(path)] = path
        parent = path.rpartition("/")[0]
        is_new = bool(parent) and parent not in self._made and parent not in self._entries
        self._entries[parent] = self._entries.get(parent, 0) + 1
        if is_new:
            self._appear(parent)

    def _disappear(self, path: str) -> None:
        at = bisect_left(self._paths, path)
        if at < len(self._paths) and self._paths[at] == path:
            del self._paths[at]
        if self._twins.get(twin_key(path)) == path:
            del self._twins[twin_key(path)]
        self._newest.pop(path, None)
        parent = path.rpartition("/")[0]
        self._entries[parent] -= 1
        if not self._entries[parent]:
            del self._entries[parent]
            if parent and parent not in self._made:
                self._disappear(parent)
