"""Copies of files that replace those of the data folder only when all of them have been checked.

Until then they are in a hidden folder beside their destinations, which is removed with all that is still in it. A
server may be reading the old files, so files are replaced in one step and never written to.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from django.core.management.base import CommandError

from streaming.tiles.paths import file_bytes
from streaming.tiles.sources.kind import SourceKind


class StagedCopies:
    """A context in which the sources of a tileset are copied for one folder."""

    def __init__(self, folder: Path, kind: SourceKind) -> None:
        self._folder, self._kind = folder, kind
        self._staging: Path | None = None
        self.destinations: dict[Path, Path] = {}
        """The path that each copy will have, by its path now."""

    def __enter__(self) -> StagedCopies:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._staging is not None:
            shutil.rmtree(self._staging, ignore_errors=True)
            with suppress(OSError):  # it has other files
                self._folder.rmdir()

    @property
    def bytes(self) -> int:
        """How much has been copied, also of what is being copied."""
        return 0 if self._staging is None else file_bytes(self._staging)

    def add(self, path: Path) -> Path:
        """Copy a file with its companions, or a folder with all its content; returns the copy's path. `CommandError`."""
        try:
            copy = self._staged() / path.name
            if copy in self.destinations:
                raise CommandError(f"two sources are called {path.name}; give one of them another name")
            self._kind.copy(path, copy)
        except (OSError, shutil.Error) as error:
            raise CommandError(f"{path.name} cannot be copied: {_reason(error)}") from error
        self.destinations[copy] = self._folder / path.name
        return copy

    def commit(self) -> None:
        """Move all copies to their destinations, in the place of what is there. `CommandError`."""
        for copy, destination in self.destinations.items():
            try:
                self._kind.replace(copy, destination)
            except OSError as error:
                raise CommandError(f"{destination.name} cannot be replaced: {_reason(error)}") from error

    def _staged(self) -> Path:
        if self._staging is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._staging = Path(tempfile.mkdtemp(dir=self._folder, prefix=".incoming-"))
        return self._staging


def _reason(error: OSError) -> str:
    """The message of an error; `shutil.Error` may have many, of which the first is enough."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        return str(error.args[0][0][2])
    return error.strerror or str(error)
