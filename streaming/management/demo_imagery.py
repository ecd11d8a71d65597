"""The imagery of the demo: an image is painted over a tileset strip by strip, again and again, as a satellite would
send it.

Each strip is a GeoTIFF of its own, cut in memory. Each round begins by removing the strips of the last one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from streaming.core.errors import StreamError
from streaming.features.events import publish_event
from streaming.tiles.imagery import clear_imagery_sync, paint_sync
from streaming.tiles.optional import MissingLibrary, optional_libraries
from streaming.tiles.tilesets import TilesetSettings

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class StripPainter:
    """Paints an image in strips, within `seconds` of each round of `every` seconds."""

    tileset: TilesetSettings
    image: Path
    title: str
    strips: int = 12
    seconds: float = 18.0
    every: float = 30.0

    def run(self, stop: threading.Event) -> None:
        """Paint until `stop` is set. A round that fails is begun again. Without rasterio nothing is painted."""
        try:
            strips = list(cut_strips(self.image, self.strips))
        except MissingLibrary as error:
            logger.warning("the demo has no imagery: %s", error.message)
            return
        while not stop.is_set():
            began = time.monotonic()
            try:
                self._round(strips, stop)
            except StreamError as error:
                logger.warning("the demo's imagery has to wait: %s", error.message)
                stop.wait(RETRY_SECONDS)
            stop.wait(max(0.0, began + self.every - time.monotonic()))

    def _round(self, strips: list[bytes], stop: threading.Event) -> None:
        clear_imagery_sync(self.tileset)
        for number, strip in enumerate(strips, 1):
            if stop.wait(self.seconds / self.strips):
                return
            paint_sync(self.tileset, strip, f"strip-{number:02}")
            self._publish_progress(number)

    def _publish_progress(self, number: int) -> None:
        message = f"{self.title}: strip {number} of {self.strips} received"
        percent = round(100 * number / self.strips)
        progress = {"task_id": self.title, "current": number, "total": self.strips, "progress_percent": percent, "message": message}
        with suppress(StreamError):  # an old report is of no use
            publish_event("progress", progress)


def cut_strips(image: Path, strips: int) -> Iterator[bytes]:
    """A GeoTIFF cut into strips from north to south; each strip is a GeoTIFF. `MissingLibrary`."""
    with optional_libraries("GeoTIFFs"):
        import rasterio  # type: ignore[import-untyped]
        from rasterio.io import MemoryFile  # type: ignore[import-untyped]
        from rasterio.windows import Window  # type: ignore[import-untyped]

    with rasterio.open(image) as raster:
        edges = [round(raster.height * number / strips) for number in range(strips + 1)]
        for top, bottom in pairwise(edges):
            window = Window(0, top, raster.width, bottom - top)
            profile = {
                "driver": "GTiff",
                "width": raster.width,
                "height": bottom - top,
                "count": raster.count,
                "dtype": raster.dtypes[0],
                "crs": raster.crs,
                "transform": raster.window_transform(window),
                "compress": "deflate",
                "predictor": 2,
            }
            with MemoryFile() as file:
                with file.open(**profile) as strip:
                    strip.write(raster.read(window=window))
                yield file.read()
