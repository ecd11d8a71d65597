"""Presence messages: a `presence_state`, or a `presence_diff` between the state that clients hold and the present one.

Everything is computed from whole pictures, so that members who came and went in between are not in it. A member in a diff is one that a
client does not hold, or holds differently; an update is a join and a leave at once, told apart by `phx_ref`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from streaming.core.items import Item

from .presence_entry import Entry, entry_of

Picture = Mapping[str, Item | None]
"""Members by id, as some clients hold them."""


class Diff:
    """Joins and leaves by the key under which members are shown."""

    __slots__ = ("_joins", "_leaves")

    def __init__(self) -> None:
        self._joins: dict[str, list[Any]] = {}
        self._leaves: dict[str, list[Any]] = {}

    def __bool__(self) -> bool:
        return bool(self._joins or self._leaves)

    def step(self, new: Item | None, *olds: Item | None) -> None:
        """A member is now `new`; clients may hold any of `olds`."""
        before = {old.value: entry_of(old) for old in olds if old is not None and (new is None or old.value != new.value)}
        for entry in before.values():
            self._leaves.setdefault(entry.key, []).append(entry.meta)
        if new is not None and any(old is None or old.value != new.value for old in olds):
            entry = entry_of(new)
            replaced = next(reversed(before.values()), None)
            self._joins.setdefault(entry.key, []).append(entry.meta if replaced is None else entry.replacing(replaced))

    def encoded(self) -> bytes:
        """The payload of a `presence_diff`."""
        return msgspec.json.encode({"joins": _with_metas(self._joins), "leaves": _with_metas(self._leaves)})


def difference(keys: Iterable[str], now: Picture, *held: Picture) -> Diff:
    """The difference that brings clients with any of the pictures `held` to `now`, as far as these members go."""
    diff = Diff()
    for key in keys:
        diff.step(now.get(key), *(picture.get(key) for picture in held))
    return diff


def encoded_state(items: Iterable[Item]) -> bytes:
    """The payload of a `presence_state`."""
    return msgspec.json.encode(_with_metas(metas_by_key(map(entry_of, items))))


def metas_by_key(entries: Iterable[Entry]) -> dict[str, list[Any]]:
    """The metas of members, encoded, by the key they are shown under."""
    metas: dict[str, list[Any]] = {}
    for entry in entries:
        metas.setdefault(entry.key, []).append(entry.meta)
    return metas


def _with_metas(metas: dict[str, list[Any]]) -> dict[str, Any]:
    return {key: {"metas": some} for key, some in metas.items()}
