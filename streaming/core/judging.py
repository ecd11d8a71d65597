"""Judging some changes for very many filters with boxes, with arrays: which of them are told what.

Where the boxes of a filter decide alone, no filter is asked; the others are asked about what touches their boxes. What a filter makes of a
change is a *mark*, one number that holds the audience's number, the change's and whether it is the old or the new version that is wanted:
sorted, marks say for one audience after the other what it is to be told, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .bbox import Box
from .box_grid import BoxGrid, Numbers, T
from .deliveries import Kind
from .items import Change

MOST_CHANGES = 128
"""That are judged together."""
MOST_PAIRS = 400_000
"""Of a place and a box, compared at once: some milliseconds."""
MOST_FOUND = 15_000
"""Pairs of a change and an audience that wants it: so many are told in some milliseconds."""
MOST_ASKED = 5_000
"""Questions to filters, in one go."""

KINDS: tuple[Kind, ...] = ("added", "updated", "deleted")
_ADDED, _UPDATED, _DELETED = range(3)
_CHANGE_BITS = MOST_CHANGES.bit_length() - 1


class Questions(NamedTuple):
    """What touches boxes of some changes: the marks that are certain, and those about which filters have to be asked, both sorted."""

    changes: int
    """Of how many of the changes; the others are too much at once."""
    certain: Numbers
    open: Numbers


def places_of(change: Change) -> list[Box]:
    """Where a feature was and where it is."""
    return [item.box for item in (change.old, change.new) if item is not None and item.box is not None]


def questions(changes: Sequence[Change], grid: BoxGrid[T]) -> Questions:
    """For at least one of at most `MOST_CHANGES` changes, from the first on."""
    count = len(changes)
    while True:
        places, versions = [], []
        for number, change in enumerate(changes[:count]):
            if change.old is not None and change.old.box is not None:
                places.append(change.old.box)
                versions.append(number << 1)
            if change.new is not None and change.new.box is not None:
                places.append(change.new.box)
                versions.append(number << 1 | 1)
        touching = grid.touching(places, None if count == 1 else MOST_PAIRS)
        if touching is not None:
            break
        count = (count + 1) // 2
    marks = touching.entries << (_CHANGE_BITS + 1) | np.array(versions, np.int64)[touching.places]
    certain, still_open = marks[touching.certain], marks[~touching.certain]
    fitting = min(_fitting(certain, MOST_FOUND, count), _fitting(still_open, MOST_ASKED, count))
    if fitting < count:
        certain, still_open = certain[_change(certain) < fitting], still_open[_change(still_open) < fitting]
    return Questions(fitting, _sorted(certain), _sorted(still_open))


def asked(marks: Numbers) -> Iterator[tuple[int, int, int, bool]]:
    """Of each mark itself, the number of the audience, that of the change, and whether it is about the new version."""
    for mark in marks.tolist():
        yield mark, mark >> (_CHANGE_BITS + 1), mark >> 1 & MOST_CHANGES - 1, bool(mark & 1)


def with_answers(certain: Numbers, answers: list[int]) -> Numbers:
    """All marks that are wanted, sorted."""
    return _sorted(np.concatenate([certain, np.array(answers, np.int64)])) if answers else certain


def told(marks: Numbers, delivery: Callable[[int, Kind], T]) -> Iterator[tuple[int, list[T]]]:
    """For each audience by its number what it is told; `delivery` makes that of the number of a change and a kind, once each."""
    if not len(marks):
        return
    pairs = marks >> 1
    first = np.concatenate([[0], (pairs[1:] != pairs[:-1]).nonzero()[0] + 1])
    both = np.diff(first, append=len(marks)) == 2
    pairs = pairs[first]
    kinds = np.where(both, _UPDATED, np.where(marks[first] & 1, _ADDED, _DELETED))
    codes = (pairs & (MOST_CHANGES - 1)) << 2 | kinds
    made = {code: delivery(code >> 2, KINDS[code & 3]) for code in np.flatnonzero(np.bincount(codes)).tolist()}
    deliveries = list(map(made.__getitem__, codes.tolist()))
    audiences = pairs >> _CHANGE_BITS
    starts = np.concatenate([[0], (audiences[1:] != audiences[:-1]).nonzero()[0] + 1])
    for audience, (start, stop) in zip(audiences[starts].tolist(), pairwise([*starts.tolist(), len(deliveries)]), strict=True):
        yield audience, deliveries[start:stop]


def _change(marks: Numbers) -> Numbers:
    return marks >> 1 & MOST_CHANGES - 1


def _fitting(marks: Numbers, most: int, count: int) -> int:
    """How many changes have together at most so many marks; at least one."""
    if len(marks) <= most:
        return count
    return max(1, int(np.bincount(_change(marks), minlength=count).cumsum().searchsorted(most, "right")))


def _sorted(marks: Numbers) -> Numbers:
    """Each once."""
    marks.sort()
    if len(marks) > 1 and not (fresh := marks[1:] != marks[:-1]).all():
        return np.concatenate([marks[:1], marks[1:][fresh]])
    return marks
