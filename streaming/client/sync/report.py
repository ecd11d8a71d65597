"""Shows what a sync does: lines and a progress bar for people, or a JSON object a line for programs."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from tqdm import tqdm

from .plan import Plan


class TextReporter:
    """A line for each change; a progress bar while more than a moment's work is to be done."""

    def __init__(self, stream: TextIO = sys.stdout, *, quiet: bool = False) -> None:
        self._stream, self._quiet = stream, quiet
        self._bar: Any = None

    def planned(self, plan: Plan) -> None:
        """The bar, on a terminal."""
        size = sum(step.size for step in plan.transfers)
        if not self._quiet and len(plan.transfers) > 1:
            self._bar = tqdm(total=size, unit="B", unit_scale=True, desc=f"{len(plan.transfers)} files", disable=None, file=sys.stderr)

    def transferred(self, count: int) -> None:
        """So many bytes more."""
        if self._bar is not None:
            self._bar.update(count)

    def did(self, what: str, path: str, more: str = "") -> None:
        """One line."""
        if not self._quiet:
            self._write(f"{datetime.now():%H:%M:%S} {what:<13} {path}{f' {more}' if more else ''}")

    def failed(self, path: str, error: Exception) -> None:
        """One line, also when quiet."""
        self._write(f"{datetime.now():%H:%M:%S} {'failed':<13} {path}: {error}")

    def finished(self) -> None:
        """The bar goes."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def summary(self, done: dict[str, int], conflicts: list[str], seconds: float) -> None:
        """What a whole sync did."""
        if self._quiet:
            return
        words = ", ".join(f"{what.replace('_', ' ')} {count}" for what, count in sorted(done.items())) or "nothing to do"
        self._write(f"done in {seconds:.1f} s: {words}")
        for name in conflicts:
            self._write(f"conflict: both versions are kept, yours as {name}")

    def _write(self, line: str) -> None:
        with tqdm.external_write_mode(file=self._stream):
            self._stream.write(f"{line}\n")
            self._stream.flush()


class JsonReporter:
    """One object a line."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream

    def planned(self, plan: Plan) -> None:
        """How much there is to do."""
        if plan.steps:
            self._write("planned", steps=len(plan.steps), bytes=sum(step.size for step in plan.transfers))

    def transferred(self, count: int) -> None:
        """Not said."""

    def did(self, what: str, path: str, more: str = "") -> None:
        """A change."""
        self._write("done", action=what, path=path, **({"more": more} if more else {}))

    def failed(self, path: str, error: Exception) -> None:
        """A failure."""
        self._write("failed", path=path, error=str(error))

    def finished(self) -> None:
        """Not said."""

    def summary(self, done: dict[str, int], conflicts: list[str], seconds: float) -> None:
        """The end."""
        self._write("summary", done=done, conflicts=conflicts, seconds=round(seconds, 3))

    def _write(self, event: str, **fields: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._stream.write(json.dumps({"time": now, "event": event, **fields}, ensure_ascii=False) + "\n")
        self._stream.flush()
