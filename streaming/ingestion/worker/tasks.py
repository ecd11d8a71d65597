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


class MakeOverviews(msgspec.Struct, tag="overviews", frozen=True):
    """Make a Cloud Optimized GeoTIFF, which has overviews, of one that was looked at."""

    source: str
    target: str


class Task(msgspec.Struct, frozen=True):
    """A task, and what the process may use for it."""

    what: ReadFeatures | MakeOverviews
    memory: int
    seconds: int
    file_bytes: int


class FeaturesRead(msgspec.Struct, tag="features_read", frozen=True):
    """How many features were written, and the name of the CRS that they had."""

    count: int
    crs: str


class OverviewsMade(msgspec.Struct, tag="overviews_made", frozen=True):
    """It is in the target."""


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """Why not."""

    message: str


Answer = FeaturesRead | OverviewsMade | Refused
