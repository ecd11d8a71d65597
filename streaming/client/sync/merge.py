"""The three-way merge of one path: what was agreed on last (base), what is here (local), what is on the server (remote).

After Unison and Mutagen: a side that still has the base has not changed; where both have, and differently, it is a conflict, never decided
by times. A modification beats a deletion.
"""

from __future__ import annotations

from enum import Enum


class Action(Enum):
    """What is to be done about a path."""

    NONE = "none"
    UPLOAD = "upload"
    DOWNLOAD = "download"
    DELETE_LOCAL = "delete_local"
    DELETE_REMOTE = "delete_remote"
    CONFLICT = "conflict"


def merge(base: str | None, local: str | None, remote: str | None) -> Action:
    """The action for one path, from the hashes of its contents; None: it is not there. A folder's hash is empty."""
    if local == remote or (local == base and remote == base):
        return Action.NONE
    if local == base:
        return Action.DELETE_LOCAL if remote is None else Action.DOWNLOAD
    if remote == base:
        return Action.DELETE_REMOTE if local is None else Action.UPLOAD
    if local is None:
        return Action.DOWNLOAD
    return Action.UPLOAD if remote is None else Action.CONFLICT
