"""Files copied into the data folder, each in its place only when all of them are known to be good.

Until then they are in a hidden folder beside their places, which goes with whatever is still in it. A server may be reading what was
there before: files are replaced in one step, never written to.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from django.core.management.base import CommandError


class Copies:
    """Copies for one folder; a context."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._staging: Path | None = None
        self.places: dict[Path, Path] = {}
        """Where each copy is to be, by where it is."""

    def __enter__(self) -> Copies:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._staging is not None:
            shutil.rmtree(self._staging, ignore_errors=True)
            with suppress(OSError):  # there are other files
                self._folder.rmdir()

    def add(self, path: Path) -> Path:
        """Copy a file, or a folder with all that is in it; returns the copy's path. `CommandError`."""
        try:
            copy = self._staged() / path.name
            if copy in self.places:
                raise CommandError(f"two sources are called {path.name}; give one of them another name")
            if path.is_dir():
                shutil.copytree(path, copy)
            else:
                shutil.copyfile(path, copy)
        except (OSError, shutil.Error) as error:
            raise CommandError(f"{path.name} cannot be copied: {_reason(error)}") from error
        self.places[copy] = self._folder / path.name
        return copy

    def keep(self) -> None:
        """Put all copies where they belong, instead of what is there. `CommandError`."""
        for copy, place in self.places.items():
            try:
                if place.exists() and (place.is_dir() or copy.is_dir()):  # a folder cannot be replaced in one step
                    place.rename(copy.with_name(f".replaced-{copy.name}"))
                copy.replace(place)
            except OSError as error:
                raise CommandError(f"{place.name} cannot be replaced: {_reason(error)}") from error

    def _staged(self) -> Path:
        if self._staging is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._staging = Path(tempfile.mkdtemp(dir=self._folder, prefix=".incoming-"))
        return self._staging


def _reason(error: OSError) -> str:
    """Of the first of what may be many errors."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        return str(error.args[0][0][2])
    return error.strerror or str(error)
