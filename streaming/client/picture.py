"""The client's own copy of the tiles in view, and which tiles these are.

Only what is in view is held, because only that is kept up to date. What is held is sent to the server after a break, with its version;
a tile that is in doubt is sent with a version that nothing has, so that it comes again as it is, or as empty.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from ..core.bbox import check_bbox
from ..core.errors import StreamError
from ..dialects.geo.messages import HeldTile
from ..tiles.grid import tile_ranges
from .errors import RequestRefused
from .tiles import Coords, Tile, TileKey

_IN_DOUBT = "?"


class View:
    """The tiles of a box for some zooms, counted as the server does. Raises RequestRefused if the box is none."""

    def __init__(self, bbox: Sequence[float], zooms: range) -> None:
        try:
            box = check_bbox(bbox)
        except StreamError as error:
            raise RequestRefused(error.code, error.message) from error
        self._parts = {zoom: tile_ranges(box, zoom) for zoom in zooms}

    def __contains__(self, coords: Coords) -> bool:
        x, y, zoom = coords
        return any(part.contains(x, y) for part in self._parts.get(zoom, ()))


class Picture:
    """The tiles that are there, by (x, y, zoom), or by (tileset, x, y, zoom) if there are `several` tilesets. Empty ones are not there."""

    def __init__(self, several: bool) -> None:
        self._several = several
        self._tiles: dict[TileKey, Tile] = {}
        self._in_doubt: set[TileKey] = set()
        self.tiles: Mapping[TileKey, Tile] = MappingProxyType(self._tiles)

    def key(self, tileset: str | None, coords: Coords) -> TileKey:
        """What a tile is found by."""
        return (tileset or "", *coords) if self._several else coords

    def put(self, tile: Tile) -> None:
        """Take in a new version."""
        key = self.key(tile.tileset, tile.coords)
        self._in_doubt.discard(key)
        if tile.empty:
            self._tiles.pop(key, None)
        else:
            self._tiles[key] = tile

    def doubt(self, key: TileKey) -> None:
        """What is held here is not, or no longer, what the server believes."""
        self._in_doubt.add(key)

    def crop(self, view: View) -> None:
        """Forget what is out of view."""
        self._forget({key for key, tile in self._tiles.items() if tile.coords not in view})

    def keep(self, tilesets: Collection[str]) -> None:
        """Forget the tiles of other tilesets."""
        self._forget({key for key, tile in self._tiles.items() if tile.tileset not in tilesets})

    def held(self) -> dict[str, list[HeldTile]]:
        """Versions, for a request to resume."""
        held: dict[str, list[HeldTile]] = {}
        for key, tile in self._tiles.items():
            if tile.tileset is not None:
                version = _IN_DOUBT if key in self._in_doubt or tile.version is None else tile.version
                held.setdefault(tile.tileset, []).append((*tile.coords, version))
        return held

    def _forget(self, keys: set[TileKey]) -> None:
        self._in_doubt -= keys
        for key in keys:
            del self._tiles[key]
