"""Values by name, where a pattern (a beginning of names, and `*`) stands for all names that begin so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class PatternMap(Generic[T]):
    """Finds the value of a name: its own, or else that of the longest pattern that matches."""

    __slots__ = ("exact", "prefixes")

    def __init__(self, values: Mapping[str, T]) -> None:
        self.exact: dict[str, T] = {name: value for name, value in values.items() if not name.endswith("*")}
        prefixes = ((name[:-1], value) for name, value in values.items() if name.endswith("*"))
        self.prefixes: tuple[tuple[str, T], ...] = tuple(sorted(prefixes, key=lambda prefix: len(prefix[0]), reverse=True))
        """Patterns without their `*`, the longest first."""

    def get(self, name: str) -> T | None:
        """None if neither the name nor a pattern is there."""
        if name in self.exact:
            return self.exact[name]
        return next((value for prefix, value in self.prefixes if name.startswith(prefix)), None)

    def values(self) -> Iterator[T]:
        """All values, in no order."""
        yield from self.exact.values()
        yield from (value for _, value in self.prefixes)


def split_list(setting: str) -> list[str]:
    """The entries of a comma-separated list, without the space around them and without empty ones."""
    return [entry for entry in map(str.strip, setting.split(",")) if entry]


def split_pair(entry: str) -> tuple[str, str]:
    """The two sides of the last `=` of an entry, without the space around them; an empty name if there is no `=`."""
    name, _, value = entry.rpartition("=")
    return name.strip(), value.strip()
