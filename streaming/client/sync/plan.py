"""The plan of a sync: what is to be done for each path, in which order, and whether it is safe to do it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from streaming.files.merge import Action, merge

from .errors import SafetyStop

MOST_DELETED = 10
"""So many deletions are never suspicious."""
MOST_DELETED_SHARE = 0.5
WINDOW_SECONDS = 3600.0
"""What was deleted little by little in this time is counted together."""


class Mode(Enum):
    """Which side may change which."""

    TWO_WAY = "two-way"
    PUSH = "push"
    """The server gets what is new here; nothing changes here."""
    PULL = "pull"
    """This side gets what is new on the server; nothing changes there."""
    MIRROR = "mirror"
    """This side becomes as the server is, whatever was here."""


class Strategy(Enum):
    """What becomes of a conflict."""

    KEEP_BOTH = "keep-both"
    """The server's version keeps the name, the local one is renamed and uploaded."""
    SERVER = "server"
    CLIENT = "client"
    NEWER = "newer"


@dataclass(frozen=True, slots=True)
class Content:
    """One side of a path."""

    hash: str
    size: int = 0
    is_directory: bool = False
    modified_ns: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, with what is on both sides and what was agreed on."""

    action: Action
    path: str
    local: Content | None
    remote: Content | None
    base: str | None

    @property
    def is_directory(self) -> bool:
        """Whether it is about a folder."""
        side = self.local or self.remote
        return side is not None and side.is_directory

    @property
    def size(self) -> int:
        """Bytes to transfer."""
        if self.action == "upload":
            return self.local.size if self.local else 0
        if self.action in ("download", "conflict"):
            return self.remote.size if self.remote else 0
        return 0


@dataclass(slots=True)
class Plan:
    """The steps in groups, each to be finished before the next one begins."""

    make_folders: list[Step] = field(default_factory=list)
    transfers: list[Step] = field(default_factory=list)
    """Smallest first; any number at once."""
    delete_files: list[Step] = field(default_factory=list)
    delete_folders: list[Step] = field(default_factory=list)
    """Deepest first."""
    adopt: dict[str, Content] = field(default_factory=dict)
    """What both sides have already."""
    forget: list[str] = field(default_factory=list)
    """What neither side has any more."""

    @property
    def steps(self) -> list[Step]:
        """All of them, in order."""
        return [*self.make_folders, *self.transfers, *self.delete_files, *self.delete_folders]


def make_plan(
    base: Mapping[str, str],
    local: Mapping[str, Content],
    remote: Mapping[str, Content],
    *,
    mode: Mode = Mode.TWO_WAY,
) -> Plan:
    """The plan for all paths. `base` has the hashes that were agreed on."""
    plan = Plan()
    for path in sorted(base.keys() | local.keys() | remote.keys()):
        here, there, agreed = local.get(path), remote.get(path), base.get(path)
        action = merge(agreed, here.hash if here else None, there.hash if there else None)
        step = Step(allowed(action, mode, here, there), path, here, there, agreed)
        if here is not None and there is not None and here.hash == there.hash:
            if agreed != here.hash:
                plan.adopt[path] = here
        elif here is None and there is None:
            plan.forget.append(path)
        elif step.action != "none":
            _group(plan, step).append(step)
    plan.transfers.sort(key=lambda step: (step.size, step.path))
    plan.delete_folders.sort(key=lambda step: step.path.count("/"), reverse=True)
    return plan


def allowed(action: Action, mode: Mode, local: Content | None, remote: Content | None) -> Action:
    """What of an action is done in a mode."""
    if mode is Mode.MIRROR and action in ("upload", "delete_remote", "conflict"):
        return "download" if remote is not None else "delete_local"
    if mode is Mode.PUSH and action in ("download", "delete_local"):
        return "none"
    if mode is Mode.PULL and action in ("upload", "delete_remote"):
        return "none"
    return action


def _group(plan: Plan, step: Step) -> list[Step]:
    if step.action in ("delete_local", "delete_remote"):
        return plan.delete_folders if step.is_directory else plan.delete_files
    return plan.make_folders if step.is_directory else plan.transfers


def check_safety(plan: Plan, base: Mapping[str, str], local: Iterable[str], remote: Iterable[str], most_deleted: int | None = None) -> None:
    """`SafetyStop` if a side has lost so much that it is rather a mistake: a disk that is not mounted, an emptied folder.

    Without `most_deleted` more than half of the files that were agreed on, and more than ten, are too many.
    """
    here, there = set(local), set(remote)
    if base and not here:
        raise SafetyStop(f"the local folder is empty, and had {len(base)} paths: is it mounted? --force-delete deletes them there")
    if base and not there:
        raise SafetyStop(f"the server's folder is empty, and had {len(base)} paths; --force-delete deletes them here")
    for action, side in (("delete_local", "here"), ("delete_remote", "on the server")):
        count = sum(step.action == action for step in plan.delete_files)
        if count > _bound(len(base), most_deleted):
            raise SafetyStop(f"{count} of {len(base)} files would be deleted {side}; --max-delete {count} or --force-delete does it")


def check_losses(plan: Plan, files: int, most: int, most_deleted: int | None = None) -> None:
    """`SafetyStop` if the folder has lost so much little by little, in some rounds of the last hour.

    `files` is how many there are before this round, `most` the most that there were in that time. Files that came and went do not count.
    """
    count = len(plan.delete_files)
    new = sum(step.base is None and step.action in ("upload", "download") for step in plan.transfers)
    lost = most - files + count - new
    if count and lost > _bound(most, most_deleted):
        gone = f"{count} files would be deleted, so that of {most} {lost} were gone within an hour"
        raise SafetyStop(f"{gone}; --max-delete {lost} or --force-delete does it")


def _bound(files: int, most_deleted: int | None) -> int:
    return most_deleted if most_deleted is not None else max(MOST_DELETED, int(files * MOST_DELETED_SHARE))
