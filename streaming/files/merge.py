"""Three-way merge: what a client has to do about a path, from what it last agreed on with the server and what both have now.

Contents are compared by hash (None: not there). Times decide nothing.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from .paths import MAX_PATH_BYTES, MAX_SEGMENT_BYTES

_CONFLICT = re.compile(r"(?P<stem>.+?)\.sync-conflict-(?P<stamp>\d{8}-\d{6})-(?P<client>[A-Za-z0-9]{1,8})(?P<suffixes>\..+)?")
Action = Literal["none", "upload", "download", "conflict", "delete_remote", "delete_local"]


def merge(base: str | None, local: str | None, remote: str | None) -> Action:
    """A modification beats a deletion; two different modifications are a conflict, and so are two different files on first contact."""
    if local == remote:
        return "none"
    if remote == base:
        return "delete_remote" if local is None else "upload"
    if local == base:
        return "delete_local" if remote is None else "download"
    if remote is None:
        return "upload"
    return "download" if local is None else "conflict"


def conflict_name(path: str, stamp: str, client: str) -> str:
    """The name under which the version of a client is kept beside the server's: all suffixes stay, so files of one stem stay together.

    A name that would be too long loses the end of its stem, else of its suffixes.
    """
    folder, slash, name = path.rpartition("/")
    dot = name.find(".", 1)
    stem, suffixes = (name, "") if dot < 0 else (name[:dot], name[dot:])
    by = re.sub(r"[^A-Za-z0-9]", "", client)[:8] or "unknown"
    mark = f".sync-conflict-{stamp}-{by}"
    room = min(MAX_SEGMENT_BYTES, MAX_PATH_BYTES - len(f"{folder}{slash}".encode())) - len(mark)
    suffixes = _cut(suffixes, room - 1)
    return f"{folder}{slash}{_cut(stem, room - len(suffixes.encode()))}{mark}{suffixes}"


class ConflictCopy(NamedTuple):
    """What the name of a client's version says: of which file it is, when it was made (UTC), and of which client it is, shortened."""

    original: str
    stamp: str
    client: str


def conflict_copy(path: str) -> ConflictCopy | None:
    """What a path says if it is one of `conflict_name`."""
    folder, slash, name = path.rpartition("/")
    found = _CONFLICT.fullmatch(name)
    if found is None:
        return None
    return ConflictCopy(f"{folder}{slash}{found['stem']}{found['suffixes'] or ''}", found["stamp"], found["client"])


def _cut(text: str, most: int) -> str:
    """The beginning of a text, of so many bytes; no name ends with a dot or a blank."""
    return text if len(text.encode()) <= most else text.encode()[: max(most, 1)].decode(errors="ignore").rstrip(" .")
