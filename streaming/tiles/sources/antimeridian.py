"""Images with ground control points on both sides of the antimeridian.

GDAL lays a polynomial through the points, in longitudes that go on beyond 180 degrees, and finds from it no pixel for a place on the
other side, whose longitude is a turn less. So the image is warped twice there: by the points as they are, and by the points a turn on.
"""

from __future__ import annotations

from math import pi
from typing import Any
from uuid import uuid4

import rasterio  # type: ignore[import-untyped]
import rasterio.shutil  # type: ignore[import-untyped]
from rasterio.control import GroundControlPoint  # type: ignore[import-untyped]

from streaming.core.bbox import Box


class TurnedCopies:
    """The image as GDAL is to warp it in the eastern and in the western hemisphere: virtual datasets over the one in the file."""

    def __init__(self, dataset: Any) -> None:
        points, crs = dataset.gcps
        turn = 2 * pi / crs.units_factor[1]
        eastern = [point.x % turn for point in points]  # continuous, for the image is nowhere near longitude 0
        self.datasets = [_moved(dataset, [longitude - back for longitude in eastern]) for back in (0.0, turn)]

    def close(self) -> None:
        """Close them."""
        for dataset in self.datasets:
            name = dataset.name
            dataset.close()
            rasterio.shutil.delete(name, driver="VRT")


def crosses(dataset: Any, box: Box) -> bool:
    """Whether an image with control points in degrees is on both sides."""
    points, crs = dataset.gcps
    return bool(points) and crs is not None and bool(crs.is_geographic) and box[0] > box[2]


def _moved(dataset: Any, longitudes: list[float]) -> Any:
    """A virtual copy whose control points have other longitudes."""
    name = f"/vsimem/{uuid4().hex}.vrt"
    rasterio.shutil.copy(dataset, name, driver="VRT")
    points, crs = dataset.gcps
    with rasterio.open(name, "r+", driver="VRT") as copy:
        copy.gcps = [GroundControlPoint(each.row, each.col, x, each.y, each.z) for each, x in zip(points, longitudes, strict=True)], crs
    return rasterio.open(name, driver="VRT")
