"""What there is to a change besides the path: who makes it, under which condition, and what is noted of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from streaming.core.errors import StreamError

from .metadata import FileRecord


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something: the user's name, the client's id, the address. Nobody: a program on the server's machine."""

    user: str = ""
    client: str | None = None
    address: str = ""


OUTSIDE = Actor()


class Outdated(StreamError):
    """A condition that does not hold. `current` is what is there instead."""

    def __init__(self, code: str, path: str, current: FileRecord | None) -> None:
        super().__init__(code, "there is a file already" if code == "exists" else "the file is not, or no longer, the one that you name")
        self.path = path
        self.current = current


class Precondition(NamedTuple):
    """What must be there: one of these hashes (`*`: anything), and none of those."""

    match: frozenset[str] | None = None
    none_match: frozenset[str] | None = None

    def check(self, path: str, current: FileRecord | None) -> None:
        """`Outdated` if it does not hold."""
        if self.none_match is not None and current is not None and ("*" in self.none_match or current.hash in self.none_match):
            raise Outdated("exists" if "*" in self.none_match else "precondition_failed", path, current)
        if self.match is not None and (current is None or not ("*" in self.match or current.hash in self.match)):
            raise Outdated("precondition_failed", path, current)


ANYTHING = Precondition()


class FolderChange(NamedTuple):
    """A change that was made, for the audit."""

    action: str
    path: str
    target: str
    before: FileRecord | None
    after: FileRecord | None
    trash: str
    actor: Actor
    restored: str = ""
    """What is in the trash no more."""
