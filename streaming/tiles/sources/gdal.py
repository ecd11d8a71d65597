"""What GDAL and the libraries around it raise, and which of their warnings are expected."""

from __future__ import annotations

import logging
import warnings

from rasterio._err import CPLE_BaseError  # type: ignore[import-untyped]
from rasterio.errors import NotGeoreferencedWarning, RasterioError  # type: ignore[import-untyped]

LIBRARY_ERRORS: tuple[type[BaseException], ...] = (RasterioError, CPLE_BaseError, OSError, MemoryError, ValueError)
"""What the libraries raise for files that cannot be read."""


def expect_warnings() -> None:
    """Silence warnings about files that are refused with an error of their own."""
    logging.getLogger("rasterio._env").setLevel(logging.CRITICAL)  # logs errors that are raised as well
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
