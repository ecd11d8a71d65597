"""Writes what `manage.py tail --record` receives to a file that `manage.py replay` plays."""

from __future__ import annotations

import gzip
import sys
from types import TracebackType
from typing import IO, Self, cast

from streaming.client import FeatureChange
from streaming.features.recorded_changes import write_change


class Recorder:
    """A file of recorded changes, one a line, gzipped if its name ends in `.gz`; `-` is standard output. OSError."""

    def __init__(self, path: str) -> None:
        self._standard_output = path == "-"
        if self._standard_output:
            self._file = cast(IO[bytes], sys.stdout.buffer)
        else:
            self._file = cast(IO[bytes], gzip.open(path, "wb")) if path.endswith(".gz") else open(path, "wb")  # noqa: SIM115 (see __exit__)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._standard_output:
            self._file.close()

    def write(self, change: FeatureChange) -> None:
        """Write a change as of now."""
        self._file.write(write_change(change.type, change.layer, change.id, change.feature, change.reason))
        self._file.flush()
