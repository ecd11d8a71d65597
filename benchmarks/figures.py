"""The figures of a run: written as JSON, and compared with those of another one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from .machine import describe

LAST = Path(__file__).with_name("last.json")
"""Those that the documentation has."""
SETTINGS = frozenset({"subscribers", "members", "batch", "clients", "changes/s", "workers", "files", "layers", "viewports", "features"})
"""Columns of numbers that say what was measured. So do all texts."""
SAME = 0.05
"""A ratio as close to 1 is not told."""

Row = dict[str, Any]


class Figures:
    """What was measured now, and another time."""

    def __init__(self, other: Path = LAST) -> None:
        self._now: dict[str, list[Row]] = {}
        self._then: dict[str, list[Row]] = json.loads(other.read_text())["figures"] if other.exists() else {}

    def rows(self, what: str) -> list[Row]:
        """What was measured another time."""
        return self._then.get(what, [])

    def compared(self, what: str, rows: Iterable[Row]) -> Iterator[tuple[Row, dict[str, str]]]:
        """Each row, and the ratios of its figures to the other run's, as they are printed behind them: ` (x 1.20)`."""
        for row in rows:
            same = next((other for other in self.rows(what) if other.keys() == row.keys() and _label(other) == _label(row)), None)
            yield row, {} if same is None else _ratios(row, same)

    def add(self, what: str, rows: list[Row]) -> None:
        """Keep what was measured."""
        self._now[what] = rows

    def save(self, path: Path) -> None:
        """Write all figures so far, and those of the other run that were not measured anew, as JSON."""
        whole = {"date": str(date.today()), "machine": describe(), "figures": {**self._then, **self._now}}
        path.write_text(json.dumps(whole, indent=1) + "\n")


def _label(row: Row) -> list[Any]:
    return [cell for name, cell in row.items() if isinstance(cell, str) or name in SETTINGS]


def _ratios(row: Row, other: Row) -> dict[str, str]:
    found = {}
    for name, now in row.items():
        then = other[name]
        if isinstance(now, int | float) and isinstance(then, int | float) and then and abs(now / then - 1) > SAME:
            found[name] = f" (x {now / then:.2f})"
    return found
