"""The base class of the kinds of tile sources."""

from __future__ import annotations

import shutil
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from streaming.core.bbox import Box
from streaming.core.errors import StreamError
from streaming.tiles.paths import resolve_source

from .base import TileSource, file_version

if TYPE_CHECKING:
    from streaming.core.hub import Hub
    from streaming.tiles.change_tracker import ChangeTracker
    from streaming.tiles.tile_renderer import TileRenderer
    from streaming.tiles.tilesets import TilesetSettings


class SourceKind:
    """One kind of tile source: how tilesets of this kind are opened, and all in which it differs from the other kinds.

    As it is, a kind reads finished tiles from one file. The kinds are in the table of `source_kinds.py`, by the name
    that tilesets have in their field `kind`. A kind imports what is costly to import when it opens a source.
    """

    suffixes: ClassVar[Sequence[str]] = ()
    """Endings of the names of its files."""
    has_files: ClassVar[bool] = True
    """Whether its sources are paths. These files are watched."""
    is_directory: ClassVar[bool] = False
    """Whether a source is a folder with a file for each tile. Such a folder is too large to be searched for changes."""
    any_zoom: ClassVar[bool] = False
    """Whether tiles are made on request, so that the settings may also name zooms that the source does not have."""
    any_image: ClassVar[bool] = False
    """Whether tiles are made on request in any image format and size."""
    fixed_bounds: ClassVar[bool] = True
    """Whether there can be no tile outside the bounds that the source had when it was opened."""
    follows: ClassVar[bool] = False
    """Whether tiles follow a feed that has every change itself, so that the source need never be read again."""
    is_vector: ClassVar[bool] = False
    """Whether all its tiles are vector tiles. Tiles of other kinds may be as well."""

    def open(self, tileset: TilesetSettings) -> TileSource:
        """Open the source, which may take a while. `StreamError("invalid_source")`."""
        raise NotImplementedError

    def version(self, tileset: TilesetSettings) -> Hashable:
        """A value that changes when the source does. Cheap, but it blocks. `StreamError`."""
        return file_version(self.version_paths([resolve_source(text) for text in self._sources(tileset)], tileset))

    def version_paths(self, paths: list[Path], tileset: TilesetSettings) -> Iterable[Path]:
        """The files that the version is made of; `paths` are the sources."""
        return self.with_companions(paths)

    def with_companions(self, paths: Iterable[Path]) -> list[Path]:
        """The files, each followed by its companions."""
        return [each for path in paths for each in (path, *self.companions(path))]

    def matches(self, sources: Sequence[str]) -> bool:
        """Whether sources look like this kind. Asked in the order of the table."""
        return Path(sources[0]).suffix.lower() in self.suffixes and not Path(sources[0]).is_dir()

    def layer_name(self, source: str) -> str | None:
        """The feature layer that a source (the text of the setting) is, if it is one.

        To read the tiles, one must be allowed to read it.
        """
        return None

    def extra_folder(self, tileset: TilesetSettings) -> Path | None:
        """A folder that is watched beside the sources. It may not exist."""
        return None

    def files_at(self, path: Path) -> Iterable[Path]:
        """The files whose changes are changes of what is at this path, which is a source or the extra folder."""
        return [path]

    def companions(self, path: Path) -> Iterable[Path]:
        """Files beside one of its files that belong to it: when they change, it does. They may not exist."""
        return ()

    def copy(self, path: Path, to: Path) -> None:
        """Copy one of its sources, with the companions. `OSError`, `shutil.Error`."""
        if path.is_dir():
            shutil.copytree(path, to)
            return
        shutil.copyfile(path, to)
        for companion, destination in zip(self.companions(path.resolve()), self.companions(to), strict=True):
            if companion.is_file():
                shutil.copyfile(companion, destination)

    def replace(self, path: Path, to: Path) -> None:
        """Move one of its sources, with the companions, to the place of another one on the same disk, in one step. `OSError`.

        Companions of the old one are taken away: they are nothing for the new one.
        """
        for new, old in zip(self.companions(path), self.companions(to), strict=True):
            if new.exists():
                new.replace(old)
            else:
                old.unlink(missing_ok=True)
        if to.exists() and (to.is_dir() or path.is_dir()):  # a folder cannot be replaced in one step
            to.rename(path.with_name(f".replaced-{path.name}"))
        path.replace(to)

    def box_of(self, path: Path, tileset: TilesetSettings) -> Box | None:
        """Where tiles change when one of several files of a source does; None if that may be anywhere."""
        return None

    def change_tracker(self, hub: Hub, renderer: TileRenderer) -> ChangeTracker:
        """A tracker of the changes of one tileset."""
        from streaming.tiles.change_tracker import AnnouncedChangeTracker

        return AnnouncedChangeTracker(hub, renderer)

    def single_path(self, tileset: TilesetSettings) -> Path:
        """The path of a source that is one file or folder. `StreamError("invalid_source")`."""
        paths = [resolve_source(text) for text in tileset.sources]
        if len(paths) != 1:
            raise StreamError("invalid_source", f"a {tileset.kind} tileset has one source, not {len(paths)}; only rasters make mosaics")
        return paths[0]

    def _sources(self, tileset: TilesetSettings) -> tuple[str, ...]:
        if not tileset.sources:
            raise StreamError("invalid_source", f"tileset {tileset.name!r} names no source")
        return tileset.sources


class UnknownKind(SourceKind):
    """The kind of a tileset whose kind is not in the table. Its source cannot be opened."""

    has_files = False

    def open(self, tileset: TilesetSettings) -> TileSource:
        """Refused."""
        raise self._error(tileset)

    def version(self, tileset: TilesetSettings) -> Hashable:
        """Refused."""
        raise self._error(tileset)

    def _error(self, tileset: TilesetSettings) -> StreamError:
        return StreamError("invalid_source", f"there is no kind of tilesets {tileset.kind[:20]!r}")
