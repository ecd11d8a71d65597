"""What a GeoTIFF has to be before anything is rendered from it. Nobody vouches for the files: small ones can be enormous once unpacked.

Only GeoTIFF is opened: other formats of GDAL may refer to files and addresses anywhere.
"""

from __future__ import annotations

import logging
import warnings
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

from .base import invalid_source, source_errors

PROBED_BLOCKS = 64
MAX_BLOCK_BYTES = 1024 * 1024 * 1024
"""A small file can unpack to a block of any size; at 8 bytes a number, this is the largest that is read."""
MAX_PICTURES = 100
"""In one file: the image itself, its overviews and masks, and whatever else there may be."""
MAX_COARSEST_PIXELS = 1 << 26
"""Of the last overview, or of an image that has none: a tile of the lowest zoom is made from all of them."""
MAX_STEP = 32
"""How many times as coarse one overview may be as the one before it: a tile in between is made from the finer one."""
_ADVICE = "gdaladdo -r average or gdal_translate -of COG makes overviews"


def open_geotiff(path: Path) -> Any:
    """The file as a dataset of rasterio. `StreamError("invalid_source")`, also if it has no place on the earth."""
    import rasterio  # type: ignore[import-untyped]

    with source_errors(path, *library_errors()):
        dataset = rasterio.open(path, driver="GTiff")
        if dataset.crs is None or dataset.transform.is_identity:
            dataset.close()
            raise invalid_source(path, "the image has no coordinate reference system; gdal_translate -a_srs and -a_ullr give it one")
        if dataset.tags(ns="OVERVIEWS"):  # looked at before GDAL goes there
            dataset.close()
            raise invalid_source(path, "it names another file or address as its overviews; gdaladdo makes some within it")
        return dataset


def check_geotiff(path: Path, dataset: Any) -> None:
    """Refuse what is damaged, and what would take too long or too much memory to render. `StreamError("invalid_source")`."""
    with source_errors(path, *library_errors()):
        _check_pictures(path)
        _check_overviews(path, dataset)
        _probe(dataset)


def _probe(dataset: Any) -> None:
    """Read blocks from the beginning to the end: a truncated file is refused when it is added, not when somebody looks."""
    height, width = dataset.block_shapes[0]
    down, across = ceil(dataset.height / height), ceil(dataset.width / width)
    last = down * across - 1  # a small file can have millions of blocks: they are not listed
    for number in {*range(0, last, max(1, last // PROBED_BLOCKS)), last}:
        dataset.read(window=dataset.block_window(1, *divmod(number, across)))


def _check_pictures(path: Path) -> None:
    """Refuse blocks that are too large in any picture of the file: overviews and masks, which nothing else tells of, are read too."""
    import rasterio
    from rasterio.errors import RasterioIOError  # type: ignore[import-untyped]

    for number in range(1, MAX_PICTURES + 1):
        try:
            picture = rasterio.open(f"GTIFF_DIR:{number}:{path}", driver="GTiff")
        except RasterioIOError:
            return  # there are no more, or the file is damaged, as is seen when it is read
        with picture:
            height, width = max(picture.block_shapes, key=lambda shape: shape[0] * shape[1])
            if height * width * picture.count * 8 > MAX_BLOCK_BYTES:
                raise invalid_source(
                    path, f"its blocks of {width:,} x {height:,} pixels are too large; gdal_translate -of COG makes it better"
                )
    raise invalid_source(path, f"it holds more than {MAX_PICTURES} pictures; gdal_translate -of COG makes a file of one and its overviews")


def _check_overviews(path: Path, dataset: Any) -> None:
    """Refuse an image of which low zooms would be made from very many pixels."""
    factors = [1, *sorted(dataset.overviews(1))]
    width, height = _coarsest(path, dataset, len(factors) - 1)
    if width * height > MAX_COARSEST_PIXELS:
        what = "the coarsest of its overviews" if factors[1:] else "the image has no overviews, and it"
        raise invalid_source(path, f"{what} has {width:,} x {height:,} pixels, too many to render low zooms; {_ADVICE}")
    if dataset.width * dataset.height > MAX_COARSEST_PIXELS and any(after > MAX_STEP * before for before, after in pairwise(factors)):
        raise invalid_source(path, f"its overviews are more than {MAX_STEP} times as coarse, one as the other; {_ADVICE}")


def _coarsest(path: Path, dataset: Any, overviews: int) -> tuple[int, int]:
    """Width and height of the last overview: what it is, not what it should be."""
    import rasterio

    if not overviews:
        return dataset.width, dataset.height
    with rasterio.open(path, driver="GTiff", overview_level=overviews - 1) as coarsest:
        return coarsest.width, coarsest.height


def expect_warnings() -> None:
    """Not repeated in the log: what reaches a pole is cut off, files without overviews are slow, and those without a place are refused."""
    logging.getLogger("numexpr").setLevel(logging.WARNING)  # it tells of its threads when rio-tiler imports it
    logging.getLogger("rasterio._env").setLevel(logging.WARNING)  # it tells of errors that are raised as well
    from rasterio.errors import NotGeoreferencedWarning
    from rio_tiler.errors import NoOverviewWarning

    warnings.filterwarnings("ignore", "Adjusting dataset latitudes")
    for category in (NotGeoreferencedWarning, NoOverviewWarning):
        warnings.simplefilter("ignore", category)


def library_errors() -> tuple[type[BaseException], ...]:
    """What is raised for files that cannot be read."""
    from rasterio._err import CPLE_BaseError  # type: ignore[import-untyped]
    from rasterio.errors import RasterioError
    from rio_tiler.errors import RioTilerError

    return (RasterioError, RioTilerError, CPLE_BaseError, OSError, MemoryError)
