"""Reads the features of shapefiles, FlatGeobuf and GeoPackages with GDAL, and writes them as lines of GeoJSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

from streaming.core.errors import StreamError

from .tasks import DRIVERS, FeaturesRead, ReadFeatures

_ERRORS = (DataSourceError, DataLayerError, shapely.errors.GEOSException, OSError, ValueError, RuntimeError)
_AT_ONCE = 10_000


def read_features(task: ReadFeatures) -> FeaturesRead:
    """`StreamError("invalid_source")` for what cannot be read."""
    there = set(pyogrio.list_drivers()) - set(DRIVERS)
    if there:  # whoever started this process names them, so that GDAL does not have them
        raise _refused(f"GDAL has drivers that it should not have here: {', '.join(sorted(there)[:3])}")
    try:
        table = _table(task)
        has_ids = task.source.endswith(".gpkg")
        meta, ids, geometries, values = pyogrio.raw.read(
            task.source, layer=table, max_features=task.most + 1, return_fids=True, datetime_as_string=True
        )
        if len(ids) > task.most:
            raise _refused(f"it has more than {task.most:,} features, as GEOSTREAM_INGEST_MAX_FEATURES allows")
        crs = _crs(meta["crs"] if task.crs is None else f"EPSG:{task.crs}")
        columns = [(str(name), _reader(column)) for name, column in zip(meta["fields"], values, strict=True)]
        with open(task.target, "wb") as target:
            for start in range(0, len(ids), _AT_ONCE):
                some = slice(start, start + _AT_ONCE)
                places = _in_degrees(None if geometries is None else geometries[some], len(ids[some]), crs)
                rows = zip(
                    ids[some].tolist(),
                    places,
                    *(read(column[some]) for (_, read), column in zip(columns, values, strict=True)),
                    strict=True,
                )
                target.writelines(_lines(rows, [name for name, _ in columns], has_ids))
    except _ERRORS as error:
        raise _refused(f"it cannot be read: {str(error)[:300]}") from None
    return FeaturesRead(len(ids), _crs_name(crs))


def _table(task: ReadFeatures) -> str:
    tables = [str(name) for name, kind in pyogrio.list_layers(task.source) if kind is not None]
    if task.table is not None and task.table in tables:
        return task.table
    if task.table is not None or len(tables) != 1:
        names = ", ".join(tables[:10]) or "none"
        raise _refused(f"it has these tables of features: {names}; name one of them as `table` in its options (.layer.json)")
    return tables[0]


def _lines(rows: Iterator[tuple[Any, ...]], names: list[str], has_ids: bool) -> Iterator[bytes]:
    encode = msgspec.json.encode
    for number, place, *values in rows:
        feature = {"type": "Feature", "geometry": msgspec.Raw(place or b"null"), "properties": dict(zip(names, values, strict=True))}
        if has_ids:
            feature["id"] = number
        yield encode(feature) + b"\n"


def _in_degrees(geometries: Any, count: int, crs: CRS | None) -> list[bytes | None]:
    """The geometries as GeoJSON in longitude, latitude."""
    if geometries is None:
        return [None] * count
    made = shapely.from_wkb(geometries)
    if crs is not None and crs.to_epsg() != 4326:
        transformer = Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
        made = shapely.transform(made, lambda x, y: transformer.transform(x, y, errcheck=True), interleaved=False)
    texts = shapely.to_geojson(shapely.force_2d(made) if shapely.has_m(made).any() else made)
    empty = shapely.is_empty(made) | shapely.is_missing(made)
    return [None if nothing else text.encode() for text, nothing in zip(texts, empty, strict=True)]


def _crs(text: str | None) -> CRS | None:
    try:
        return None if text is None else CRS.from_user_input(text)
    except (CRSError, ProjError) as error:
        raise _refused(f"its CRS is not known: {str(error)[:100]}") from None


def _crs_name(crs: CRS | None) -> str:
    if crs is None:
        return ""
    code = crs.to_epsg(min_confidence=20)
    return f"EPSG:{code}" if code else str(crs.name)


def _reader(column: Any) -> Callable[[Any], list[Any]]:
    """What makes JSON of a part of a column: not-a-number becomes null, a time a text, bytes are left out."""
    if column.dtype.kind == "f":
        return lambda some: [value if value == value and abs(value) != np.inf else None for value in some.tolist()]
    if column.dtype.kind == "M":
        return lambda some: [None if np.isnat(value) else f"{np.datetime_as_string(value)}Z" for value in some]
    if column.dtype.kind == "O":
        return lambda some: [_plain(value) for value in some]
    return lambda some: some.tolist()


def _plain(value: Any) -> Any:
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return None if isinstance(value, bytes) else value


def _refused(message: str) -> StreamError:
    return StreamError("invalid_source", message)
