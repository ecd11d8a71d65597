"""What the tiles of an archive are: their format and size, as the bytes of one of them show, and the box they are in.

What the archive says of itself is only believed where its tiles do not contradict.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path

from streaming.core.bbox import Box
from streaming.core.errors import StreamError
from streaming.tiles import images
from streaming.tiles.grid import Tile, TileRange, tile_box, tile_ranges, union

from .base import FORMAT_NAMES, MIME, decompressed, invalid_source

VECTOR_TILE_SIZE = 512
"""The size for which vector tiles are made. Maps that take it for 256 load four times as many."""
TILE_SIZES = range(64, 4097)
_NAMES = {mime: format for format, mime in MIME.items()} | {
    "image/jpg": "jpg",
    "application/x-protobuf": "mvt",
    "application/vnd.mapbox-vector-tile": "mvt",
    "application/octet-stream": "mvt",
}
_LAYERS = 0x1A
"""The first byte of a vector tile: the key of its field `layers`."""


def known_format(name: str | None) -> str | None:
    """The format of this name: an ending in small or capital letters, or a media type. None for others."""
    plain = (name or "").strip().lower().partition(";")[0].lstrip(".")
    return FORMAT_NAMES.get(plain) or _NAMES.get(plain) or ("png" if plain in ("png8", "png24", "png32") else None)


def format_and_size(first: bytes | None, named: str | None, path: Path) -> tuple[str, int]:
    """The format of an archive's tiles, and the pixels along each side of them.

    `first` is one of the tiles, `named` what the archive says. `StreamError("invalid_source")` for unknown formats.
    """
    found = images.sniff(first or b"")
    if found:
        return found, _side(first or b"")
    format = known_format(named)
    if first and _is_vector(first, path):
        format = "mvt"
    if format is None and (named or first):
        what = f"the format {named[:20]!r}" if named else "an unknown format"
        raise invalid_source(path, f"tiles of {what} are not supported; use {', '.join(FORMAT_NAMES)}")
    return format or "png", VECTOR_TILE_SIZE if format == "mvt" else 256


def stated_box(west: float, south: float, east: float, north: float) -> Box | None:
    """What an archive says its bounds are, as a box within -180 to 180; None if they are none.

    Bounds beyond 180 go on after the antimeridian. Upside down ones are turned, and so are those from east to west that
    would be the wider way around the world.
    """
    if not all(map(isfinite, (west, south, east, north))) or west == east or south == north:
        return None
    south, north = sorted((south, north))
    if 0 < west - east < 180:
        west, east = east, west
    if east - west >= 360:
        west, east = -180.0, 180.0
    turns = 360 * ((west + 180) // 360)
    west, east = west - turns, east - turns
    return west, south, east - 360 if east > 180 else east, north


def covers_tiles(box: Box, places: Sequence[TileRange]) -> bool:
    """Whether the box touches every tile of these rectangles."""
    return all(any(_within(place, part) for part in tile_ranges(box, place.z)) for place in places)


def box_around(places: Sequence[TileRange]) -> Box:
    """A box that touches every tile of these rectangles, from the most detailed one outwards."""
    around: Box | None = None
    for place in sorted(places, reverse=True):
        if around is None or not covers_tiles(around, [place]):
            corners = [tile_box(place.z, place.west, place.north), tile_box(place.z, place.east, place.south)]
            around = union([*([around] if around else []), *corners])
    if around is None:
        raise ValueError("no tiles")
    return around


def one_tile(tile: Tile) -> TileRange:
    """The rectangle of one tile."""
    return TileRange(tile.z, tile.x, tile.y, tile.x, tile.y)


def _within(place: TileRange, other: TileRange) -> bool:
    return other.contains(place.west, place.north) and other.contains(place.east, place.south)


def _side(data: bytes) -> int:
    try:
        width, height = images.image_size(data)
    except StreamError:
        return 256
    return width if width == height and width in TILE_SIZES else 256


def _is_vector(data: bytes, path: Path) -> bool:
    try:
        return decompressed(data, path)[:1] == bytes([_LAYERS])
    except StreamError:  # it is cut off, or too large
        return False
