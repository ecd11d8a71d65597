"""What is wrong in a description, in inputs or in outputs: each fault with the place where it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

MOST_FAULTS = 100
"""Faults that are reported at once; whoever has more begins with these."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `pointer` is a JSON Pointer (RFC 6901) into the document that was given."""

    pointer: str
    detail: str
    input: str = ""
    """The id of the input or output that it is in, if it is in one."""

    def within(self, pointer: str, input: str = "") -> Fault:
        """The same fault, as a part of something larger sees it."""
        return Fault(pointer + self.pointer, self.detail, input or self.input)


class DescriptionError(Exception):
    """A description that is refused, with all its faults as `[{"pointer", "detail"}]`."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.errors = [{"pointer": fault.pointer, "detail": fault.detail} for fault in faults[:MOST_FAULTS]]
        super().__init__("; ".join(f"{fault.pointer or '/'}: {fault.detail}" for fault in faults[:3]))


def pointer_to(path: Iterable[Any]) -> str:
    """A JSON Pointer."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
