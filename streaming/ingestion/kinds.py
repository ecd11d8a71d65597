"""The kinds of files that become layers and tilesets, by the endings of their names, and which files belong to which.

A name only proposes a kind: whether the content is of it is found out by its first bytes (`streaming/files/sniff.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from streaming.engine.conf import conf
from streaming.tiles.sources.side_files import APPENDED, REPLACING

OPTIONS = ".layer.json"
"""What follows the whole name of a file in the name of its options: `roads.geojson.layer.json`."""
SHAPEFILE_PARTS = (".shx", ".dbf")
"""What a shapefile is not complete without ..."""
SHAPEFILE_SIDES = (".prj", ".cpg")
"""... and what it may have."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """One kind of file."""

    name: str
    becomes: Literal["layer", "tileset"]
    endings: tuple[str, ...]
    sniffed: frozenset[str]
    """What `sniff` may say of its content."""


_SHAPEFILE = FileKind("shapefile", "layer", (".shp",), frozenset({"shapefile"}))
_RASTER = FileKind("raster", "tileset", (".tif", ".tiff"), frozenset({"tiff", "bigtiff"}))
_GEOJSON = (".geojson", ".geojsonl", ".geojsons", ".geojsonseq", ".ndgeojson")
KINDS = (
    FileKind("geojson", "layer", (*_GEOJSON, *(f"{ending}.gz" for ending in _GEOJSON)), frozenset({"json", "gzip"})),
    FileKind("flatgeobuf", "layer", (".fgb",), frozenset({"flatgeobuf"})),
    FileKind("geopackage", "layer", (".gpkg",), frozenset({"geopackage", "sqlite"})),
    _SHAPEFILE,
    FileKind("zip", "layer", (".shp.zip", ".zip"), frozenset({"zip"})),
    FileKind("csv", "layer", (".csv",), frozenset({"unknown"})),
    _RASTER,
    FileKind("mbtiles", "tileset", (".mbtiles",), frozenset({"mbtiles", "sqlite"})),
    FileKind("pmtiles", "tileset", (".pmtiles",), frozenset({"pmtiles"})),
)
_BY_ENDING = {ending: kind for kind in KINDS for ending in kind.endings}
_ENDINGS = sorted(_BY_ENDING, key=len, reverse=True)


def wanted_patterns() -> tuple[str, ...]:
    """The patterns of the files that are ingested, as in .gitignore."""
    return tuple(part.strip() for part in conf.INGEST_PATTERNS.split(",") if part.strip())


def kind_of(path: str) -> FileKind | None:
    """The kind that the name of a file proposes."""
    ending = ending_of(path)
    return _BY_ENDING[ending.lower()] if ending else None


def ending_of(path: str) -> str:
    """The ending by which a file has its kind, as it is written; "" for other files."""
    lower = path.lower()
    found = next((ending for ending in _ENDINGS if lower.endswith(ending) and not lower.endswith(f"/{ending}") and lower != ending), "")
    return path[len(path) - len(found) :] if found else ""


def concerned_by(path: str, exists: Callable[[str], bool]) -> list[str]:
    """The files of a kind that a path is, or that it belongs to. Of what it belongs to those that exist."""
    if path.endswith(OPTIONS):
        main = path.removesuffix(OPTIONS)
        return [main] if kind_of(main) else []
    if kind_of(path) is not None:
        return [path]
    return [main for main in dict.fromkeys(_mains(path)) if exists(main)]


def companions_of(main: str, staged: str) -> Iterator[tuple[str, str]]:
    """Where files may be that belong to one, and how their copies are called beside a copy of it of the name `staged`."""
    kind = kind_of(main)
    if kind is _RASTER:
        yield from _raster_sides(main, staged)
    if kind is _SHAPEFILE:
        stem = main[: -len(".shp")]
        for ending in (*SHAPEFILE_PARTS, *SHAPEFILE_SIDES):
            for written in (ending, ending.upper()):
                yield stem + written, staged.removesuffix(".shp") + ending


def _raster_sides(main: str, staged: str) -> Iterator[tuple[str, str]]:
    for ending in APPENDED:
        yield main + ending, staged + ending
    stem = main.removesuffix(ending_of(main))
    for ending in REPLACING:
        for written in (ending, ending.upper()):
            yield stem + written, str(PurePosixPath(staged).with_suffix("")) + ending


def _mains(path: str) -> Iterator[str]:
    lower = path.lower()
    for ending in (*SHAPEFILE_PARTS, *SHAPEFILE_SIDES):
        if lower.endswith(ending):
            yield from _written(path[: -len(ending)], _SHAPEFILE)
    for ending in APPENDED:
        if lower.endswith(ending) and kind_of(path[: -len(ending)]) is _RASTER:
            yield path[: -len(ending)]
    for ending in REPLACING:
        if lower.endswith(ending):
            yield from _written(path[: -len(ending)], _RASTER)


def _written(stem: str, kind: FileKind) -> Iterator[str]:
    for ending in kind.endings:
        yield stem + ending
        yield stem + ending.upper()
