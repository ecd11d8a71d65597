"""What a satellite would do to a map: an image arrives strip by strip and is painted over a tileset, again and again.

The demo plays it with a real image. Each strip is a GeoTIFF of its own, cut in memory; each round begins by taking the last one away.
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
from streaming.tiles.tilesets import TilesetSettings

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Acquisition:
    """An image that arrives in so many strips within `seconds` of each round of `every` seconds."""

    tileset: TilesetSettings
    image: Path
    title: str
    strips: int = 12
    seconds: float = 18.0
    every: float = 30.0

    def run(self, stop: threading.Event) -> None:
        """Paint until `stop` is set. What cannot be painted now is tried again in a later round."""
        strips = list(cut(self.image, self.strips))
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
            self._tell(number)

    def _tell(self, number: int) -> None:
        message = f"{self.title}: strip {number} of {self.strips} received"
        percent = round(100 * number / self.strips)
        progress = {"task_id": self.title, "current": number, "total": self.strips, "progress_percent": percent, "message": message}
        with suppress(StreamError):  # worth telling now or not at all
            publish_event("progress", progress)


def cut(image: Path, strips: int) -> Iterator[bytes]:
    """A GeoTIFF as strips from the north to the south, each a GeoTIFF."""
    import rasterio  # type: ignore[import-untyped]
    from rasterio.io import MemoryFile  # type: ignore[import-untyped]
    from rasterio.windows import Window  # type: ignore[import-untyped]

    with rasterio.open(image) as whole:
        edges = [round(whole.height * number / strips) for number in range(strips + 1)]
        for top, bottom in pairwise(edges):
            window = Window(0, top, whole.width, bottom - top)
            profile = {
                "driver": "GTiff",
                "width": whole.width,
                "height": bottom - top,
                "count": whole.count,
                "dtype": whole.dtypes[0],
                "crs": whole.crs,
                "transform": whole.window_transform(window),
                "compress": "deflate",
                "predictor": 2,
            }
            with MemoryFile() as file:
                with file.open(**profile) as strip:
                    strip.write(whole.read(window=window))
                yield file.read()
