"""Events of a file system, folded into operations: what was known is compared with what is there, wherever an event says to look.

Watchers report a rename as two events that nothing connects, a directory without what is in it, and changes of nothing but a time. So
events only say where to look; inode and hash say what has happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .paths import is_internal, parents

Seen = Mapping[str, tuple[int, str]]
"""Inode (0: none) and hash by path; the hash of a directory is empty."""
Operation = tuple[str, ...]
"""`Create`, `Update` or `Delete` with a path, or `Move` with two."""


def fold(changed: Iterable[str], known: Seen, now: Seen) -> list[Operation]:
    """What has happened to these paths and to all below them: moves, deletions, then what is new or different, directories first."""
    tops = {path for path in changed if not is_internal(path)}

    def looked_at(path: str) -> bool:
        return not is_internal(path) and ("" in tops or path in tops or any(parent in tops for parent in parents(path)))

    before = {path: seen for path, seen in known.items() if looked_at(path)}
    after = {path: seen for path, seen in now.items() if looked_at(path)}
    gone, new = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    moved = _moves(gone, new, before.__getitem__, after.__getitem__)
    targets = set(moved.values())
    operations: list[Operation] = [("Move", source, target) for source, target in moved.items()]
    operations += [("Delete", path) for path in gone if path not in moved]
    operations += [("Create", path) for path in new if path not in targets]
    operations += [("Update", path) for path in sorted(before.keys() & after.keys()) if before[path][1] != after[path][1]]
    return operations


def _moves(
    gone: list[str], new: list[str], before: Callable[[str], tuple[int, str]], after: Callable[[str], tuple[int, str]]
) -> dict[str, str]:
    """Where what is gone went to: the same inode with the same content."""
    arrived = {after(path): path for path in new if after(path)[0]}
    return {path: target for path in gone if (target := arrived.pop(before(path), None)) is not None}
