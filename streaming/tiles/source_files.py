"""The files behind a tileset: where they are, whether they have changed since somebody looked, and which tiles that touches.

What counts is what the files are (inode, size, time of the last change), not which events came: editors, databases and copy programs
make events that mean nothing, and networks swallow some that do. Only a directory of tiles, too large to be looked through, goes by the
names of the files that are said to have changed. Everything here may block: for threads.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from streaming.core.bbox import Box
from streaming.core.errors import StreamError

from .change_feed import EVERYTHING, ChangedArea, changed_tiles
from .grid import Tile, tile_box, tile_exists
from .imagery_files import painted_files
from .source_kinds import allowed_roots, data_dir, imagery_folder, open_source
from .sources.base import FORMAT_NAMES
from .tilesets import TilesetSettings

FILE_KINDS = ("raster", "mbtiles", "pmtiles")
MAX_TILES = 1000
"""More changed tiles of a directory are told as a box around them."""
RECENT_SECONDS = 2.0

Stamp = tuple[int, int, int]
"""Time of the last change in nanoseconds, size, inode."""


def source_paths(tileset: TilesetSettings) -> list[Path]:
    """What a change of the tileset shows in: its files, where links lead (both ends), and the folder of painted images if there is one.

    Files that are missing at the moment are named too; those that may not be read are not. Layers and pushed tiles have no files.
    """
    if tileset.kind not in (*FILE_KINDS, "directory"):
        return []
    named = [os.path.abspath(data_dir() / text) for text in tileset.sources if "\0" not in text]
    roots = allowed_roots()
    paths = [path for path in named if any(_real(path).is_relative_to(root) for root in roots)]
    if tileset.kind == "raster" and os.path.isdir(painted := os.path.abspath(imagery_folder(tileset.name))):
        paths.append(painted)
    return list(dict.fromkeys([*map(Path, paths), *map(_real, paths)]))


class SourceFiles:
    """The files of one tileset, and what they were when it was last looked at them."""

    def __init__(self, tileset: TilesetSettings) -> None:
        self.tileset = tileset
        self._tree = tileset.kind == "directory"
        self._stamps = self.stamps()
        self._boxes = self._boxes_of(self._stamps)
        self._taken: dict[Path, tuple[Stamp | None, float]] = {}

    def folders(self) -> tuple[set[Path], set[Path]]:
        """The folders in which something can happen, and those under which anywhere. They exist."""
        paths = source_paths(self.tileset)
        trees = {path for path in paths if os.path.isdir(path)}
        flat = {path.parent for path in paths if os.path.isdir(path.parent)}
        return (flat, set(map(_real, trees))) if self._tree else (flat | trees, set())

    def concerned(self, changed: Iterable[Path]) -> set[Path]:
        """Those of the changed paths that are in the directory of tiles, and those taken lately that have changed once more.

        Who polls sees only the second of a change, and so not the next one in the same second.
        """
        roots = source_paths(self.tileset) if self._tree else []
        again = {path for path, (stamp, _) in self._taken.items() if _stamp(path) != stamp}
        return again.union(path for path in changed if any(path.is_relative_to(root) for root in roots))

    def stamps(self, among: Iterable[Path] = ()) -> dict[Path, Stamp]:
        """What the files are now, and these files of a directory of tiles. Without those that are not there."""
        files = [*source_paths(self.tileset), *among] if self._tree else list(self._files())
        return {path: stamp for path in files if (stamp := _stamp(path))}

    def changed(self) -> bool:
        """Whether the files are others than when they were last looked at."""
        return self.stamps() != self._stamps

    def can_be_opened(self) -> bool:
        """Whether all of it can be read: not while half of a file has been copied. A directory is not looked through for that."""
        if self._tree:
            return True
        try:
            open_source(self.tileset).close()
        except StreamError:
            return False
        return True

    def take(self, changed: Collection[Path]) -> ChangedArea | None:
        """What is touched by what happened since the last time, and in a directory of tiles by these changes; None if nothing is."""
        before, self._stamps = self._stamps, self.stamps()
        different = {path for path in before.keys() | self._stamps.keys() if before.get(path) != self._stamps.get(path)}
        if self._tree:
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
        lately = {path: taken for path, taken in self._taken.items() if now - taken[1] < RECENT_SECONDS}
        self._taken = lately | {path: (_stamp(path), now) for path in changed if len(changed) <= MAX_TILES}

    def _files(self) -> Iterator[Path]:
        for path in source_paths(self.tileset):
            if os.path.isdir(path):
                yield from (image.path for image in painted_files(path))
                continue
            yield path
            if self.tileset.kind == "mbtiles":
                yield from (path.with_name(path.name + ending) for ending in ("-wal", "-journal"))

    def _boxes_of(
        self, stamps: Collection[Path], known: dict[Path, Box] | None = None, different: Collection[Path] = ()
    ) -> dict[Path, Box]:
        """Where the files of a mosaic are; nothing for what has one file, which is all that can change."""
        if self.tileset.kind != "raster" or len(set(map(_real, stamps))) < 2:
            return {}
        known = known or {}
        found = {path: known[path] if path in known and path not in different else _box(path) for path in stamps}
        return {path: box for path, box in found.items() if box}


def changes_in_directory(roots: Collection[Path], changed: Iterable[Path]) -> ChangedArea | None:
    """What changed files and folders mean to a directory of tiles; None if nothing. A folder stands for all that was or is in it."""
    places = [place for path in changed for root in roots if path.is_relative_to(root) and (place := _place(path.relative_to(root)))]
    if any(place == ("/",) for place in places):
        return EVERYTHING
    numbers = [tuple(map(int, place)) for place in places]
    tiles = {Tile(*place) for place in numbers if len(place) == 3 and tile_exists(*place)}
    folders = [place for place in numbers if len(place) < 3 and tile_exists(*place, *(0, 0)[len(place) - 1 :])]
    if not folders and len(tiles) <= MAX_TILES:
        return changed_tiles(tiles) if tiles else None
    zooms = [place[0] for place in (*tiles, *folders)]
    boxes = [tile_box(*tile) for tile in tiles] + [_column(*place) for place in folders]
    return ChangedArea(_around(boxes), range(min(zooms), max(zooms) + 1))


def _place(path: Path) -> tuple[str, ...] | None:
    """Zoom, column and row, as many as there are; `("/",)` is the root itself, None what is no part of the pyramid."""
    parts = path.parts
    if not parts:
        return ("/",)
    if len(parts) == 3:
        stem, _, ending = parts[2].partition(".")
        if ending not in FORMAT_NAMES:
            return None
        parts = (*parts[:2], stem)
    return parts if len(parts) <= 3 and all(part.isdecimal() and len(part) <= 10 for part in parts) else None


def _column(z: int, x: int | None = None) -> Box:
    last = (1 << z) - 1
    top, bottom = tile_box(z, x or 0, 0), tile_box(z, last if x is None else x, last)
    return (top[0], bottom[1], bottom[2], top[3])


def _around(boxes: Iterable[Box | None]) -> Box | None:
    """A box around all of them; None if one is not known."""
    known = list(boxes)
    sure = [box for box in known if box is not None and box[0] <= box[2]]
    if not sure or len(sure) < len(known):
        return None
    west, south, east, north = zip(*sure, strict=True)
    return (min(west), min(south), max(east), max(north))


def _box(path: Path) -> Box | None:
    from .sources.footprint import read_footprint

    try:
        return read_footprint(path).box
    except StreamError:
        return None


def _real(path: str | Path) -> Path:
    """Where links lead, also if nothing is there."""
    return Path(os.path.realpath(path))


def _stamp(path: Path) -> Stamp | None:
    """None if it is not there; nor is an empty journal, which even readers of a database make. Of a folder only which one it is."""
    try:
        status = path.stat()
    except OSError:
        return None
    if stat.S_ISDIR(status.st_mode):
        return (0, 0, status.st_ino)
    if path.name.endswith("-wal") and not status.st_size:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)
