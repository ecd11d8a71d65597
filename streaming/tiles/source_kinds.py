"""The kinds of tile sources. A new kind is one module in `sources/` and one line in this table."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from streaming.core.errors import StreamError

from .sources.base import TileSource
from .sources.directory import DirectoryKind
from .sources.kind import SourceKind, UnknownKind
from .sources.layer_kind import LayerKind
from .sources.mbtiles import MBTilesKind
from .sources.pmtiles import PMTilesKind
from .sources.pushed import PushedKind
from .sources.raster_kind import RasterKind

if TYPE_CHECKING:
    from .tilesets import TilesetSettings

SOURCE_KINDS: dict[str, SourceKind] = {
    "raster": RasterKind(),
    "mbtiles": MBTilesKind(),
    "pmtiles": PMTilesKind(),
    "directory": DirectoryKind(),
    "layer": LayerKind(),
    "pushed": PushedKind(),
}
KIND_NAMES = tuple(SOURCE_KINDS)
_UNKNOWN = UnknownKind()


def source_kind(name: str) -> SourceKind:
    """The kind of this name. One that is not in the table cannot be opened, but disturbs nothing else."""
    return SOURCE_KINDS.get(name, _UNKNOWN)


def open_source(tileset: TilesetSettings) -> TileSource:
    """Open the source, which may take a while. `StreamError("invalid_source")` if it cannot be read, or may not."""
    return tileset.source_kind.open(tileset)


def version_of(tileset: TilesetSettings) -> Hashable:
    """A value that changes when the source does. Ask for it before the source is read. Cheap, but it blocks."""
    return tileset.source_kind.version(tileset)


def detect_kind(sources: Sequence[str]) -> str:
    """The name of the kind that paths, or the name of a layer, look like.

    `StreamError("invalid_source")` if they look like none.
    """
    if not sources:
        raise StreamError("invalid_source", "name a file, a folder or a layer; only pushed tiles have no source (--kind pushed)")
    for name, kind in SOURCE_KINDS.items():
        if kind.matches(sources):
            return name
    endings = ", ".join(suffix for kind in SOURCE_KINDS.values() for suffix in kind.suffixes)
    raise StreamError("invalid_source", f"{Path(sources[0]).name}: it ends in none of {endings}; say what it is with --kind")
