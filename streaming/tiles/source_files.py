"""The files behind a tileset: where they are, whether they have changed, and which tiles that changes.

What counts is what the files are (inode, size, time of the last change), not which events came: editors, databases and
copy programs cause events that mean nothing, and network file systems lose events. Only a directory of tiles is too
large to be searched, so there the names in the events count. Everything here may block: call it in threads.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from streaming.core.bbox import Box
from streaming.core.errors import StreamError
from streaming.engine.conf import data_dir

from .change_feed import EVERYTHING, ChangedArea, changed_tiles
from .grid import Tile, tile_box, tile_exists, union
from .paths import allowed_roots
from .source_kinds import open_source
from .sources.base import FORMAT_NAMES
from .tileset_events import files_changed
from .tilesets import TilesetSettings

MAX_TILES = 1000
"""More changed tiles of a directory are announced as a box around them."""
RECENT_SECONDS = 2.0

Stamp = tuple[int, int, int]
"""Time of the last change in nanoseconds, size, inode."""
Stamps = tuple[Stamp | None, ...]
"""Those of a file and of its companions."""


def source_paths(tileset: TilesetSettings) -> list[Path]:
    """The paths whose changes are changes of the tileset: its sources, and the folder of painted images if it exists.

    Of a link both ends are included. Paths that do not exist at the moment are included; those that may not be read are
    not. Kinds without files have none.
    """
    kind = tileset.source_kind
    if not kind.has_files:
        return []
    named = [os.path.abspath(data_dir() / text) for text in tileset.sources if "\0" not in text]
    roots = allowed_roots()
    paths = [path for path in named if any(_real(path).is_relative_to(root) for root in roots)]
    extra = kind.extra_folder(tileset)
    if extra is not None and os.path.isdir(extra):
        paths.append(os.path.abspath(extra))
    return list(dict.fromkeys([*map(Path, paths), *map(_real, paths)]))


class SourceFiles:
    """The files of one tileset, and what they were when they were last read."""

    def __init__(self, tileset: TilesetSettings) -> None:
        self.tileset = tileset
        self._kind = tileset.source_kind
        self._stamps = self.stamps()
        self._boxes = self._boxes_of(self._stamps)
        self._recent: dict[Path, tuple[Stamp | None, float]] = {}

    def folders(self) -> tuple[set[Path], set[Path]]:
        """The folders to watch: those where only direct entries count, and those where everything below counts.

        All of them exist.
        """
        paths = source_paths(self.tileset)
        directories = {path for path in paths if os.path.isdir(path)}
        flat = {path.parent for path in paths if os.path.isdir(path.parent)}
        return (flat, set(map(_real, directories))) if self._kind.is_directory else (flat | directories, set())

    def relevant(self, changed: Iterable[Path]) -> set[Path]:
        """Those of the changed paths that are in the directory of tiles, and recent ones that have changed again.

        A watcher that polls sees changes by the second, and so misses the next one within the same second.
        """
        roots = source_paths(self.tileset) if self._kind.is_directory else []
        again = {path for path, (stamp, _) in self._recent.items() if _stamp(path) != stamp}
        return again.union(path for path in changed if any(path.is_relative_to(root) for root in roots))

    def stamps(self, among: Iterable[Path] = ()) -> dict[Path, Stamps]:
        """What the files are now; of a directory of tiles the folder and the files `among`.

        Without files that do not exist.
        """
        files = [*source_paths(self.tileset), *among] if self._kind.is_directory else list(self._files())
        return {path: (stamp, *map(_stamp, self._kind.companions(path))) for path in files if (stamp := _stamp(path))}

    def changed(self) -> bool:
        """Whether the files have changed since they were last read."""
        return self.stamps() != self._stamps

    def can_be_opened(self) -> bool:
        """Whether the source can be opened, which it cannot while a file is half copied.

        A directory is not searched for that.
        """
        if self._kind.is_directory:
            return True
        try:
            open_source(self.tileset).close()
        except StreamError:
            return False
        return True

    def take_change(self, changed: Collection[Path]) -> ChangedArea | None:
        """The tiles that have changed since the last call; None if none have.

        For a directory of tiles, these paths count.
        """
        before, self._stamps = self._stamps, self.stamps()
        different = {path for path in before.keys() | self._stamps.keys() if before.get(path) != self._stamps.get(path)}
        files_changed(self.tileset, before, self._stamps, {*changed} if self._kind.is_directory else different)
        if self._kind.is_directory:
            self._remember(changed)
            return EVERYTHING if different else changes_in_directory(source_paths(self.tileset), changed)
        if not different:
            return None
        boxes, self._boxes = self._boxes, self._boxes_of(self._stamps, self._boxes, different)
        around = [known.get(path) for known, there in ((boxes, before), (self._boxes, self._stamps)) for path in different & there.keys()]
        box = _around(around) if boxes or self._boxes else None
        return EVERYTHING if box is None else ChangedArea(box=box)

    def _remember(self, changed: Collection[Path]) -> None:
        now = time.monotonic()
        recent = {path: seen for path, seen in self._recent.items() if now - seen[1] < RECENT_SECONDS}
        self._recent = recent | {path: (_stamp(path), now) for path in changed if len(changed) <= MAX_TILES}

    def _files(self) -> Iterator[Path]:
        for path in source_paths(self.tileset):
            yield from self._kind.files_at(path)

    def _boxes_of(
        self, stamps: Collection[Path], known: dict[Path, Box] | None = None, different: Collection[Path] = ()
    ) -> dict[Path, Box]:
        """Where the files of a mosaic are. Nothing for a single file: a change of it changes everything."""
        if len(set(map(_real, stamps))) < 2:
            return {}
        known = known or {}
        found = {path: known[path] if path in known and path not in different else self._kind.box_of(path, self.tileset) for path in stamps}
        return {path: box for path, box in found.items() if box}


def changes_in_directory(roots: Collection[Path], changed: Iterable[Path]) -> ChangedArea | None:
    """The tiles of a directory that changed paths stand for; None if there are none.

    A folder stands for all that was or is in it.
    """
    places = [place for path in changed for root in roots if path.is_relative_to(root) and (place := _place(path.relative_to(root)))]
    if any(place == ("/",) for place in places):
        return EVERYTHING
    numbers = [tuple(map(int, place)) for place in places]
    tiles = {Tile(*place) for place in numbers if len(place) == 3 and tile_exists(*place)}
    folders = [place for place in numbers if len(place) < 3 and tile_exists(*place, *(0, 0)[len(place) - 1 :])]
    if not folders and len(tiles) <= MAX_TILES:
        return changed_tiles(tiles) if tiles else None
    zooms = [place[0] for place in (*tiles, *folders)]
    boxes = [tile_box(*tile) for tile in tiles] + [_column_box(*place) for place in folders]
    return ChangedArea(_around(boxes), range(min(zooms), max(zooms) + 1))


def _place(path: Path) -> tuple[str, ...] | None:
    """Zoom, column and row, as many as the path has; `("/",)` for the root, None for other files."""
    parts = path.parts
    if not parts:
        return ("/",)
    if len(parts) == 3:
        stem, _, ending = parts[2].partition(".")
        if ending not in FORMAT_NAMES:
            return None
        parts = (*parts[:2], stem)
    return parts if len(parts) <= 3 and all(part.isdecimal() and len(part) <= 10 for part in parts) else None


def _column_box(z: int, x: int | None = None) -> Box:
    """The box of a column, or of a whole zoom."""
    last = (1 << z) - 1
    top, bottom = tile_box(z, x or 0, 0), tile_box(z, last if x is None else x, last)
    return (top[0], bottom[1], bottom[2], top[3])


def _around(boxes: Iterable[Box | None]) -> Box | None:
    """The box around all boxes; None if one is not known or crosses the antimeridian."""
    boxes = list(boxes)
    known = [box for box in boxes if box is not None and box[0] <= box[2]]
    return union(known) if known and len(known) == len(boxes) else None


def _real(path: str | Path) -> Path:
    """The path with links followed, also if nothing is there."""
    return Path(os.path.realpath(path))


def _stamp(path: Path) -> Stamp | None:
    """None for a file that does not exist or an empty journal, which readers of a database make as well.

    Of a folder only its inode.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    if stat.S_ISDIR(status.st_mode):
        return (0, 0, status.st_ino)
    if path.name.endswith("-wal") and not status.st_size:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)
