"""What a worker process is asked to do, and what it answers."""

from __future__ import annotations

import msgspec

DRIVERS = ("ESRI Shapefile", "FlatGeobuf", "GPKG")
"""The drivers of GDAL for features that exist in a worker: not those that would follow a reference in a file to somewhere else."""


class ReadFeatures(msgspec.Struct, tag="features", frozen=True):
    """Read the features of a file, and write them as lines of GeoJSON in degrees."""

    source: str
    target: str
    most: int
    """More features are refused."""
    table: str | None = None
    crs: int | None = None
    """The EPSG code of the coordinates, whatever the file says."""


class CheckRaster(msgspec.Struct, tag="raster", frozen=True):
    """Look at a GeoTIFF; write one with overviews, if it is large and has none."""

    source: str
    target: str
    most_pixels: int


class Task(msgspec.Struct, frozen=True):
    """A task, and what the process may use for it."""

    what: ReadFeatures | CheckRaster
    memory: int
    seconds: int
    file_bytes: int


class FeaturesRead(msgspec.Struct, tag="features_read", frozen=True):
    """How many features were written, and the name of the CRS that they had."""

    count: int
    crs: str


class RasterChecked(msgspec.Struct, tag="raster_checked", frozen=True):
    """A GeoTIFF that can be used, or its copy in the target, if that was `converted`."""

    converted: bool
    crs: str
    bands: int
    width: int
    height: int


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """Why not."""

    message: str


Answer = FeaturesRead | RasterChecked | Refused
