"""Libraries that are installed with `django-geostream[tiles]` only: rasterio and rio-tiler (GeoTIFFs), pmtiles, Pillow.

Layers of features, their vector tiles, directories of tiles and MBTiles work without them. What needs one imports it
late, inside `optional_libraries`: without the library, that part is refused with a clear error, and the rest of the
server works.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from ..core.errors import StreamError

logging.getLogger("numexpr").setLevel(logging.WARNING)  # logs its number of threads when rio-tiler imports it
_importing = RLock()
"""rio-tiler's modules import each other in a circle: two threads that import them at once find one of them half
made."""


class MissingLibrary(StreamError):
    """A library of `django-geostream[tiles]` cannot be imported."""

    def __init__(self, needed_for: str, error: ImportError) -> None:
        super().__init__("invalid_source", f"the server cannot read {needed_for} ({error}): pip install 'django-geostream[tiles]'")


@contextmanager
def optional_libraries(needed_for: str) -> Iterator[None]:
    """Put around imports; `needed_for` is what cannot be read without the libraries. `MissingLibrary`."""
    with _importing:
        try:
            yield
        except ImportError as error:
            raise MissingLibrary(needed_for, error) from error
