"""Imagery: georeferenced images that are painted over a raster tileset.

An image is a file in the data folder (`imagery/<tileset>/`), and part of the mosaic as soon as it is there. It is
checked before: an image that cannot be shown leaves nothing behind. An image that hides an older one replaces it, so
that painting the same place again and again takes no more room than once. Several processes may paint at the same time.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from streaming.core.bbox import Box
from streaming.core.errors import StreamError
from streaming.core.redis import refusing, sync_redis

from .change_feed import EVERYTHING, ChangedArea, tiles_feed
from .grid import WORLD, count_tiles
from .imagery_files import Content, PaintedFile, add_image, locked, painted_files, remove_images, temporary_image, write_image
from .optional import optional_libraries
from .paths import file_bytes, imagery_folder, resolve_source
from .sources.base import TileMetadata
from .sources.raster_kind import LIBRARIES, raster_options
from .sources.side_files import side_ending, side_files
from .tileset_events import imagery_changed, work_on
from .tilesets import TilesetSettings

if TYPE_CHECKING:
    from .sources.footprint import Footprint

MAX_PIXELS = 1 << 30
"""Pixels of one image: a small file can declare any number."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True, slots=True)
class PaintedImage:
    """A painted image.

    `bounds` in degrees (None if the file is damaged); `tiles`: how many of the tileset's zooms touch them.
    """

    image: str
    bounds: Box | None
    bytes: int
    painted: datetime
    version: str
    tiles: int


def paint_sync(
    tileset: TilesetSettings,
    image: Content,
    name: str | None = None,
    beside: Mapping[str, Content] = MappingProxyType({}),
    size: int = 0,
) -> PaintedImage:
    """Paint a GeoTIFF over the tileset and announce the change. It replaces the image of the same name.

    `beside` has its side files by their endings (`.tfw`); of an image that is a path, those that lie beside it. `size` is how
    many bytes will come, if that is known: what takes long is reported.

    `StreamError`: wrong_tileset_kind, bad_request (the name), invalid_image, too_large, tileset_full,
    redis_unavailable.
    """
    tileset.require_kind("raster")
    name = _checked_name(name)
    folder = imagery_folder(tileset.name)
    with temporary_image(folder, name) as path, work_on(tileset, "paint", size or _size(image)).watched(lambda: file_bytes(path)):
        version = write_image(path, image, beside or _side_files_of(image))
        footprint, opaque = _check(path, tileset)
        _require_redis()
        with locked(folder):
            replaced = [each for each in painted_files(folder) if each.image == name]
            hidden = [each for each in painted_files(folder) if opaque and each.image != name and _is_hidden(each, footprint)]
            boxes = [footprint.box, *_boxes(replaced)]
            added = add_image(path, folder, name, version, [*replaced, *hidden])
    _announce(tileset, boxes)
    imagery_changed(tileset, "created", [name], footprint.box)
    return _described([added], tileset)[0]


def imagery_sync(tileset: TilesetSettings) -> list[PaintedImage]:
    """The painted images, from the lowest to the highest. `StreamError("wrong_tileset_kind")`."""
    tileset.require_kind("raster")
    return _described(painted_files(imagery_folder(tileset.name)), tileset)


def clear_imagery_sync(tileset: TilesetSettings, name: str | None = None) -> int:
    """Remove the image of this name, without a name all images; returns how many.

    `StreamError`: wrong_tileset_kind, redis_unavailable.
    """
    tileset.require_kind("raster")
    folder = imagery_folder(tileset.name)
    if not folder.is_dir():
        return 0
    _require_redis()
    with locked(folder):
        removed = [each for each in painted_files(folder) if name is None or each.image == name]
        boxes = _boxes(removed)
        remove_images(removed)
    if removed:
        _announce(tileset, boxes)
        imagery_changed(tileset, "deleted", [each.image for each in removed], None)
    return len(removed)


def drop_imagery(tileset: str) -> None:
    """Remove all images of a tileset that is deleted; nothing is announced."""
    shutil.rmtree(imagery_folder(tileset), ignore_errors=True)


def _checked_name(name: str | None) -> str:
    if name is None:
        return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    if not _NAME.fullmatch(name):
        raise StreamError("bad_request", "name: letters, digits, '_', '.' and '-', at most 100, beginning with a letter or digit")
    return name


def _check(path: Path, tileset: TilesetSettings) -> tuple[Footprint, bool]:
    """The footprint of an image that can be shown, and whether it is opaque.

    `StreamError("invalid_image")`, or that of the settings.
    """
    options = raster_options(tileset)
    with optional_libraries(LIBRARIES):
        from .sources.footprint import is_opaque
        from .sources.raster import RasterSource

    try:
        footprint = _read_footprint(path)
        if footprint.width * footprint.height > MAX_PIXELS:
            raise StreamError(
                "invalid_image", f"{path.name}: {footprint.width:,} x {footprint.height:,} pixels are too many; cut it into parts"
            )
        RasterSource([path], options).close()
        return footprint, is_opaque(path, tileset.colormap)
    except StreamError as error:
        raise StreamError("invalid_image", error.message) from error


def _size(image: Content) -> int:
    if isinstance(image, Path):
        return file_bytes(image)
    return len(image) if isinstance(image, bytes) else 0


def _side_files_of(image: Content) -> dict[str, Content]:
    if not isinstance(image, Path):
        return {}
    return {ending: path for path in side_files(image) if (ending := side_ending(path.name[len(image.stem) :]))}


def _require_redis() -> None:
    """Without Redis, a change could not be announced."""
    with refusing():
        sync_redis().ping()


def _is_hidden(below: PaintedFile, footprint: Footprint) -> bool:
    from .sources.footprint import covers

    found = _footprint(below.path)
    return found is not None and covers(footprint, found)


def _boxes(files: Iterable[PaintedFile]) -> list[Box | None]:
    """Where the images are; None for a damaged one."""
    return [None if found is None else found.box for found in (_footprint(each.path) for each in files)]


def _announce(tileset: TilesetSettings, boxes: Iterable[Box | None]) -> None:
    lines = dict.fromkeys(EVERYTHING.encode() if box is None else ChangedArea(box=box).encode() for box in boxes)
    tiles_feed(tileset.name).append_sync(list(lines))


def _described(files: Iterable[PaintedFile], tileset: TilesetSettings) -> list[PaintedImage]:
    zooms = _zooms(tileset)
    return [_describe(each, _footprint(each.path), zooms) for each in files]


def _describe(file: PaintedFile, found: Footprint | None, zooms: range) -> PaintedImage:
    size = sum(path.stat().st_size for path in (file.path, *side_files(file.path)) if path.exists())
    painted = datetime.fromtimestamp(file.stamp / 1e9, UTC)
    tiles = count_tiles(found.box, zooms) if found else 0
    return PaintedImage(file.image, found.box if found else None, size, painted, file.version, tiles)


def _zooms(tileset: TilesetSettings) -> range:
    """The zooms of the tileset, by its settings or by its files."""
    footprints = [_footprint(each.path) for each in painted_files(imagery_folder(tileset.name))]
    if tileset.max_zoom is None:
        footprints += [_source_footprint(text) for text in tileset.sources]
    highest = max((found.zoom for found in footprints if found), default=0)
    has = tileset.override(TileMetadata(WORLD, 0, highest, tileset.format or "png"))
    return range(has.min_zoom, has.max_zoom + 1)


def _footprint(path: Path) -> Footprint | None:
    """The footprint of a painted image; None if the file is damaged or gone."""
    try:
        return _painted_footprint(path)
    except StreamError:
        return None


def _source_footprint(text: str) -> Footprint | None:
    """The footprint of one of the tileset's own files; None if it is damaged or gone."""
    try:
        return _read_footprint(resolve_source(text))
    except StreamError:
        return None


@lru_cache(1024)
def _painted_footprint(path: Path) -> Footprint:
    """Cached, because painted images never change."""
    return _read_footprint(path)


def _read_footprint(path: Path) -> Footprint:
    with optional_libraries(LIBRARIES):
        from .sources.footprint import read_footprint

    return read_footprint(path)
