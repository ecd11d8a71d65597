"""What the built-in worker offers. It imports all that the processes need: geometry, rasters, cells."""

from __future__ import annotations

from processes.worker import Worker

from .buffer import buffer
from .contour import contour
from .echo import echo
from .geofence import geofence
from .hillshade import hillshade
from .hotspots import hotspots
from .layer_snapshot import layer_snapshot
from .reproject import reproject
from .simplify import simplify
from .spatial_join import spatial_join
from .zonal_statistics import zonal_statistics

VERSION = "1.0.0"
GEOMETRY = (buffer, reproject, simplify, spatial_join)
RASTERS = (contour, hillshade, zonal_statistics)
LAYERS = (layer_snapshot,)
CONTINUOUS = (geofence, hotspots)


def offer(worker: Worker) -> Worker:
    """Have a worker offer all of them. Begun again after a lost worker, they give the same result.

    Continuous jobs go on for ever: they leave half of the worker to others.
    """
    worker.process(version=VERSION, retry="safe", keywords=("test",))(echo)
    for keyword, functions in (("geometry", GEOMETRY), ("raster", RASTERS), ("live layer", LAYERS)):
        for function in functions:
            worker.process(version=VERSION, retry="safe", keywords=(keyword,))(function)
    some = max(1, worker.concurrency // 4)
    for follow in CONTINUOUS:
        worker.process(version=VERSION, retry="safe", keywords=("live layer", "continuous"), continuous=True, concurrency=some)(follow)
    return worker
