"""Directories of tiles, and a layer, that change as often as one likes.

All versions of a `TileFolder` are made beforehand, so that changing it costs a few writes. Of each tile there are so many that what the
server keeps of one is gone when it comes again, except its bytes as a base for deltas.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streaming.tiles.change_feed import announce_sync, changed_tiles
from streaming.tiles.grid import Tile
from streaming.tiles.sources.encoding import encode_image
from streaming.tiles.sources.raster import RasterSource

Pixels = NDArray[np.uint8]
RELIEF = Path(__file__).parents[1] / "streaming" / "demo" / "relief.tif"
ZOOM = 3
TILES = [Tile(ZOOM, x, y) for y in range(8) for x in range(8)]
"""All of the zoom: what a large screen shows."""
SIDE = 256
PIXEL_BYTES = SIDE * SIDE * 4
VERSIONS = 6
BUSY = Tile(ZOOM, 4, 2)
"""Where the layer is: Europe."""
WORLD = [-180, -85, 180, 85]


class Changing(Protocol):
    """A tileset that changes when told to."""

    name: str
    tiles: list[Tile]
    mean_bytes: float | None
    """The size of a tile, if that is known."""

    def add(self) -> None:
        """Let the server show it."""

    def change(self, tiles: Collection[Tile]) -> None:
        """Give these tiles their next versions, and tell."""


class TileFolder:
    """Tiles of one zoom; `versions` has those of each, in the order in which they come, round and round."""

    def __init__(self, root: Path, name: str, versions: dict[Tile, list[bytes]]) -> None:
        self.name = name
        self.tiles = list(versions)
        sizes = [len(data) for each in versions.values() for data in each]
        self.mean_bytes: float | None = sum(sizes) / len(sizes)
        self._root = root / name
        self._versions = versions
        self._turns = dict.fromkeys(versions, -1)
        self._write(self.tiles)

    def add(self) -> None:
        """Let the server show it."""
        add_directory(self._root)

    def change(self, tiles: Collection[Tile]) -> None:
        """Give these tiles their next versions, and tell."""
        self._write(tiles)
        announce_sync(self.name, changed_tiles(tiles))

    def _write(self, tiles: Collection[Tile]) -> None:
        for tile in tiles:
            self._turns[tile] += 1
            versions = self._versions[tile]
            write(self._root, tile, versions[self._turns[tile] % len(versions)])


class MovingLayer:
    """A layer of points as vector tiles, all of it in one tile of the zoom. Each turn some of them move a little."""

    def __init__(self, name: str, features: int, moving: int) -> None:
        self.name = name
        self.tiles = [BUSY]
        self.mean_bytes: float | None = None
        self._moving = moving
        self._random = np.random.default_rng(1)
        self._places = self._random.uniform((4, 44), (41, 63), (features, 2))

    def add(self) -> None:
        """Let the server show it."""
        from streaming.models import Tileset

        self._publish(range(len(self._places)))
        Tileset.objects.create(name=self.name, kind="layer", source=self.name)

    def change(self, tiles: Collection[Tile]) -> None:
        """Move some."""
        moved = self._random.choice(len(self._places), self._moving, replace=False)
        self._places[moved] += self._random.uniform(-0.05, 0.05, (self._moving, 2))
        self._publish(moved.tolist())

    def _publish(self, numbers: Collection[int]) -> None:
        from streaming.features.publishing import publish

        publish(self.name, [_vehicle(number, self._places[number].tolist()) for number in numbers])


def add_directory(folder: Path) -> None:
    """Let the server show a directory of tiles."""
    from streaming.models import Tileset

    Tileset.objects.create(name=folder.name, kind="directory", source=str(folder))


def write(root: Path, tile: Tile, data: bytes) -> None:
    """Replace one file; a reader sees the old one or the new one."""
    path = root / str(tile.z) / str(tile.x) / f"{tile.y}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_bytes(data)
    os.replace(new, path)


def noise(root: Path) -> TileFolder:
    """PNGs of 64 kB: 256 x 256 random greys, nothing in common from one version to the next."""
    random = np.random.default_rng(1)
    return TileFolder(root, "noise", {tile: [noisy_png(random) for _ in range(VERSIONS)] for tile in TILES})


def relief(root: Path, share: float) -> TileFolder:
    """The shaded relief as the server renders it. Each turn a square, so large a share of the tile, shows another part of the relief."""
    pictures = relief_pictures()
    made = {}
    for number, tile in enumerate(TILES):
        square = random_square(np.random.default_rng(number), share)
        made[tile] = [encode_image(_patched(pictures, number, number + 1 + version, square), "png") for version in range(VERSIONS)]
    return TileFolder(root, f"relief, {share:.0%}", made)


def relief_pictures() -> list[Pixels]:
    """Red, green, blue and alpha (4, 256, 256) of each tile."""
    source = RasterSource([RELIEF])
    found = [source.pixels(*tile) for tile in TILES]
    return [np.zeros((4, SIDE, SIDE), np.uint8) if pixels is None else pixels for pixels in found]


def random_square(random: np.random.Generator, share: float) -> tuple[slice, slice, slice]:
    """Somewhere in a tile, so large a share of it; in all bands."""
    side = round(SIDE * share**0.5)
    top, left = (int(edge) for edge in random.integers(SIDE + 1 - side, size=2))
    return np.s_[:, top : top + side, left : left + side]


def noisy_png(random: np.random.Generator) -> bytes:
    """66 kB: 256 x 256 random greys, which cannot be compressed."""
    from PIL import Image

    file = BytesIO()
    Image.fromarray(random.integers(0, 256, (SIDE, SIDE), np.uint8)).save(file, "PNG", compress_level=0)
    return file.getvalue()


def _patched(pictures: list[Pixels], number: int, other: int, square: tuple[slice, slice, slice]) -> Pixels:
    pixels = pictures[number].copy()
    pixels[square] = pictures[other % len(pictures)][square]
    return pixels


def _vehicle(number: int, place: list[float]) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": number,
        "geometry": {"type": "Point", "coordinates": place},
        "properties": {"name": f"Vehicle number {number}", "speed": number % 50, "status": "moving"},
    }
