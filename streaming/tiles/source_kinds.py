"""From what a tileset says of its source to the source itself.

Files are read only where that is allowed: in the data folder, the demo's folder and those of `GEOSTREAM_TILE_ROOTS`, judged after links
were followed.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from streaming.core.errors import StreamError
from streaming.core.feed import Feed
from streaming.core.redis import refusing, sync_redis
from streaming.engine.conf import conf, data_dir

from .imagery_files import painted_files
from .sources.base import TileSource, file_version, source_errors
from .sources.pushed import PushedSource, pushed_keys

if TYPE_CHECKING:
    from .sources.raster import RasterOptions
    from .tilesets import TilesetSettings

DEMO = Path(__file__).parents[1] / "demo"
KIND_NAMES = ("raster", "mbtiles", "pmtiles", "directory", "layer", "pushed")
_BY_SUFFIX = {".tif": "raster", ".tiff": "raster", ".mbtiles": "mbtiles", ".pmtiles": "pmtiles"}


def open_source(tileset: TilesetSettings) -> TileSource:
    """Opens it, which may take a while. `StreamError("invalid_source")` if it cannot be, or may not be read."""
    if tileset.kind == "layer":
        return _layer(tileset)
    if tileset.kind == "pushed":
        return PushedSource(tileset.name, tileset.format, tileset.min_zoom, tileset.max_zoom)
    paths = [resolve_source(text) for text in tileset.sources]
    if tileset.kind == "raster":
        return _raster(tileset, paths)
    if len(paths) != 1:
        raise StreamError("invalid_source", f"a {tileset.kind} tileset has one source, not {len(paths)}; only rasters make mosaics")
    return _finished(tileset.kind, paths[0])


def version_of(tileset: TilesetSettings) -> Hashable:
    """Another value when the source has changed. Cheap, but blocks. What it says is from before the source is read."""
    if tileset.kind == "pushed":
        with refusing():
            return bytes(sync_redis().get(pushed_keys(tileset.name)[1]) or b"")  # type: ignore[arg-type]  # of both clients in the stubs
    if not tileset.sources:
        raise StreamError("invalid_source", f"tileset {tileset.name!r} names no source")
    if tileset.kind == "layer":
        with refusing():
            found: Hashable = tuple(sync_redis().hmget(Feed(f"layer:{tileset.sources[0]}").meta_key, "epoch", "seq"))
            return found
    paths = [resolve_source(text) for text in tileset.sources]
    if tileset.kind == "directory":
        with source_errors(paths[0], OSError):
            paths += [path for path in sorted(paths[0].iterdir()) if path.name.isdecimal()]
    if tileset.kind == "raster":
        paths += [painted.path for painted in painted_files(imagery_folder(tileset.name))]
    return file_version(paths)


def detect_kind(sources: Sequence[str]) -> str:
    """What kind of source the paths or the name of a layer are; `StreamError("invalid_source")` if that cannot be seen."""
    if not sources:
        raise StreamError("invalid_source", "name a file, a folder or a layer; only pushed tiles have no source (--kind pushed)")
    first = Path(sources[0])
    if first.is_dir():
        return "directory"
    kind = _BY_SUFFIX.get(first.suffix.lower())
    if kind is None and len(sources) == 1 and not first.exists() and os.sep not in sources[0]:
        return "layer"
    if kind is None:
        raise StreamError("invalid_source", f"{first.name}: it ends in none of {', '.join(_BY_SUFFIX)}; say what it is with --kind")
    return kind


def allowed_roots() -> list[Path]:
    """The folders whose files may be sources."""
    configured = [Path(part.strip()) for part in conf.TILE_ROOTS.split(",") if part.strip()]
    return [path.resolve() for path in (data_dir(), DEMO, *configured)]


def imagery_folder(tileset: str) -> Path:
    """Where the images painted over a raster tileset are; it may not exist. `StreamError("invalid_source")` for a name that is no name."""
    if not tileset or tileset[0] == "." or "/" in tileset or "\0" in tileset:
        raise StreamError("invalid_source", f"{tileset[:100]!r} cannot be the name of a tileset")
    return data_dir() / "imagery" / tileset


def resolve_source(text: str) -> Path:
    """The real path of a source. `StreamError("invalid_source")` if there is nothing or if it lies elsewhere.

    A path that is not absolute begins in the data folder. Of other folders it is not told what is there.
    """
    name = Path(text).name[:200]
    try:
        real = (data_dir() / text).resolve()
        if not any(real.is_relative_to(root) for root in allowed_roots()):
            raise StreamError(
                "invalid_source", f"{name}: it is neither in the data folder nor in one of GEOSTREAM_TILE_ROOTS; move it or add its folder"
            )
        return real.resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise StreamError("invalid_source", f"{name}: there is no such file or folder") from error


def parse_rescale(text: str) -> tuple[tuple[float, float], ...]:
    """`0,3000`, or one such range for each band, separated by spaces. `StreamError("invalid_source")`."""
    try:
        ranges = tuple((float(low), float(high)) for low, high in (part.split(",") for part in text.split()))
    except ValueError:
        ranges = ((0.0, 0.0),)
    if not all(low < high for low, high in ranges):
        raise StreamError("invalid_source", f"rescale {text[:50]!r} is not low,high with low below high (or one such pair for each band)")
    return ranges


def raster_options(tileset: TilesetSettings) -> RasterOptions:
    """How a raster tileset is shown. `StreamError("invalid_source")`."""
    from .sources.raster import RasterOptions

    return RasterOptions(tileset.format or "png", tileset.tile_size, parse_rescale(tileset.rescale), tileset.colormap)


def _raster(tileset: TilesetSettings, paths: list[Path]) -> TileSource:
    from .sources.raster import RasterSource

    if not paths:
        raise StreamError("invalid_source", "a raster needs at least one file")
    options = raster_options(tileset)
    while True:
        painted = [each.path for each in painted_files(imagery_folder(tileset.name))]
        try:
            return RasterSource([*paths, *painted], options)
        except StreamError:
            if all(path.exists() for path in painted):
                raise  # else an image was taken away just now


def _finished(kind: str, path: Path) -> TileSource:
    if kind == "mbtiles":
        from .sources.mbtiles import MBTilesSource

        return MBTilesSource(path)
    if kind == "pmtiles":
        from .sources.pmtiles import PMTilesSource

        return PMTilesSource(path)
    from .sources.directory import DirectorySource

    return DirectorySource(path)


def _layer(tileset: TilesetSettings) -> TileSource:
    from streaming.features.layers import catalogue, layer_feed

    from .sources.layer import LayerSource

    if len(tileset.sources) != 1:
        raise StreamError("invalid_source", f"vector tiles are cut from one layer, not {len(tileset.sources)}")
    layer = catalogue.get_sync(tileset.sources[0])
    return LayerSource(layer.name, layer_feed(layer).read_sync().items.values())
