"""A dataset: a file of the folder with all that belongs to it, which becomes one layer or one tileset."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from streaming.files.metadata import FileRecord

from .kinds import OPTIONS, SHAPEFILE_PARTS, FileKind, companions_of, ending_of, kind_of

RecordOf = Callable[[str], FileRecord | None]
_LEFT_OUT = ("layers", "tiles")
"""Directories at the top of the folder that say nothing but what is in them."""
_STAGED = "source"
_METHOD = "1"
"""Another one makes all files be read anew: for when this code makes something else of them."""


@dataclass(frozen=True)
class Part:
    """One file of a dataset, and how its copy is called."""

    path: str
    staged: str
    record: FileRecord


@dataclass(frozen=True)
class Dataset:
    """One dataset as it is announced: `parts` begins with the file itself."""

    path: str
    kind: FileKind
    parts: tuple[Part, ...]
    options: FileRecord | None

    @property
    def record(self) -> FileRecord:
        """The record of the file itself."""
        return self.parts[0].record

    @property
    def staged(self) -> str:
        """How the copy of the file itself is called."""
        return self.parts[0].staged

    @property
    def options_path(self) -> str:
        """Where its options are, if it has any."""
        return self.path + OPTIONS

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(part.record.size for part in self.parts)

    @property
    def missing(self) -> list[str]:
        """The endings of files that it is not complete without."""
        if self.kind.name != "shapefile":
            return []
        there = {part.staged.removeprefix(_STAGED) for part in self.parts}
        return [ending for ending in SHAPEFILE_PARTS if ending not in there]

    @cached_property
    def fingerprint(self) -> str:
        """Differs when anything does that the layer or tileset is made of."""
        made_of = [_METHOD, self.path, "" if self.options is None else self.options.hash]
        made_of += [f"{part.staged} {part.record.hash}" for part in self.parts]
        return sha256("\n".join(made_of).encode()).hexdigest()


def find_dataset(path: str, record_of: RecordOf) -> Dataset | None:
    """The dataset of the file at a path; None if there is none (any more)."""
    kind, record = kind_of(path), record_of(path)
    if kind is None or record is None or record.directory:
        return None
    staged = _STAGED + ending_of(path).lower()
    parts = {staged: Part(path, staged, record)}
    for companion, name in companions_of(path, staged):
        side = record_of(companion)
        if side is not None and not side.directory:
            parts.setdefault(name, Part(companion, name, side))
    options = record_of(path + OPTIONS)
    return Dataset(path, kind, tuple(parts.values()), None if options is None or options.directory else options)


def default_name(path: str) -> str:
    """What a layer or tileset is called without options: `roads.geojson` roads, `maps/roads.geojson` maps.roads.

    Directories `layers` and `tiles` at the top are left out, accents too; other characters become `-`. "" if nothing is left.
    """
    first, *rest = path.removesuffix(ending_of(path)).split("/")
    kept = rest if rest and first in _LEFT_OUT else [first, *rest]
    plain = unicodedata.normalize("NFKD", ".".join(kept)).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", plain).strip("-. _")
