"""Checks of GeoTIFFs before anything is rendered from them.

The files are not trusted: a small one can be enormous once it is unpacked.

Only GeoTIFF is opened, because other formats of GDAL may refer to files and addresses anywhere.
"""

from __future__ import annotations

from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

import rasterio  # type: ignore[import-untyped]
from rasterio.crs import CRS  # type: ignore[import-untyped]
from rasterio.errors import RasterioIOError  # type: ignore[import-untyped]

from .base import invalid_source, source_errors
from .gdal import LIBRARY_ERRORS
from .georeference import crs_of
from .side_files import check_side_files, is_picture, side_files

PROBED_BLOCKS = 64
MAX_BLOCK_BYTES = 1024 * 1024 * 1024
"""The largest block that is read, at 8 bytes for each number: a small file can unpack to a block of any size."""
MAX_PICTURES = 100
"""Pictures in one file: the image itself, its overviews and masks, and anything else."""
MAX_COARSEST_PIXELS = 1 << 26
"""Pixels of the last overview, or of an image without overviews: a tile of the lowest zoom is made from all of them."""
MAX_STEP = 32
"""How many times as coarse an overview may be as the one before it: a tile in between is made from the finer one."""
NOWHERE = (
    "the image has no coordinate reference system, control points or sensor model; gdal_translate -a_srs and -a_ullr give it the first, "
    "or a .tfw and a .prj beside it"
)
_ADVICE = "gdaladdo -r average or gdal_translate -of COG makes overviews"


def open_geotiff(path: Path, overview: int | None = None) -> Any:
    """The file, or one of its overviews, as a dataset of rasterio.

    `StreamError("invalid_source")`, also if it does not say where it is.
    """
    check_side_files(path)
    with source_errors(path, *LIBRARY_ERRORS):
        for picture in _side_pictures(path):  # GDAL would open them in any format
            with source_errors(picture, *LIBRARY_ERRORS), rasterio.open(picture, driver="GTiff") as dataset:
                _refuse_references(picture, dataset)
        level = {} if overview is None else {"overview_level": overview}
        dataset = rasterio.open(path, driver="GTiff", **level)
        try:
            _refuse_references(path, dataset)
            if dataset.crs is None and not dataset.transform.is_identity:
                dataset = _with_side_crs(path, dataset, level)
            if crs_of(dataset) is None:
                raise invalid_source(path, NOWHERE)
        except BaseException:
            dataset.close()
            raise
        return dataset


def check_geotiff(path: Path, dataset: Any) -> None:
    """Refuse what is damaged, and what would take too long or too much memory to render.

    `StreamError("invalid_source")`.
    """
    with source_errors(path, *LIBRARY_ERRORS):
        for picture in (path, *_side_pictures(path)):
            _check_pictures(picture)
        _check_overviews(path, dataset)
        _probe(dataset)


def _side_pictures(path: Path) -> list[Path]:
    """The masks and overviews that are files of their own."""
    return [each for each in side_files(path) if is_picture(each)]


def _refuse_references(path: Path, dataset: Any) -> None:
    if dataset.tags(ns="OVERVIEWS"):  # before GDAL opens it
        raise invalid_source(path, "it names another file or address as its overviews; gdaladdo makes some within it")


def _with_side_crs(path: Path, dataset: Any, level: dict[str, int]) -> Any:
    """The dataset with the CRS of a `.prj`, which GDAL does not read for GeoTIFFs; as it is if there is none."""
    texts = [each for each in side_files(path) if each.suffix.lower() == ".prj"]
    if not texts:
        return dataset
    with source_errors(texts[0], *LIBRARY_ERRORS):
        wkt = CRS.from_wkt(texts[0].read_text(errors="replace"), morph_from_esri_dialect=True).to_wkt()
        if "&" in wkt or any(sign in str(path) for sign in "?&"):  # signs of the address
            return dataset
        found = rasterio.open(f"vrt://{path}?a_srs={wkt}", driver="VRT", **level)
    dataset.close()
    return found


def _probe(dataset: Any) -> None:
    """Read blocks from all over the file, so that a truncated one is refused when it is added, not when it is shown."""
    height, width = dataset.block_shapes[0]
    down, across = ceil(dataset.height / height), ceil(dataset.width / width)
    last = down * across - 1  # not a list of all: a small file can have millions of blocks
    for number in {*range(0, last, max(1, last // PROBED_BLOCKS)), last}:
        dataset.read(window=dataset.block_window(1, *divmod(number, across)))


def _check_pictures(path: Path) -> None:
    """Refuse blocks that are too large in any picture of the file: its overviews and masks are read as well."""
    for number in range(1, MAX_PICTURES + 1):
        try:
            picture = rasterio.open(f"GTIFF_DIR:{number}:{path}", driver="GTiff")
        except RasterioIOError:
            return  # there are no more; or the file is damaged, which `_probe` finds
        with picture:
            height, width = max(picture.block_shapes, key=lambda shape: shape[0] * shape[1])
            if height * width * picture.count * 8 > MAX_BLOCK_BYTES:
                raise invalid_source(
                    path, f"its blocks of {width:,} x {height:,} pixels are too large; gdal_translate -of COG makes it better"
                )
    raise invalid_source(path, f"it holds more than {MAX_PICTURES} pictures; gdal_translate -of COG makes a file of one and its overviews")


def _check_overviews(path: Path, dataset: Any) -> None:
    """Refuse an image whose low zooms would be made from very many pixels."""
    factors = [1, *sorted(dataset.overviews(1))]
    width, height = _coarsest(path, dataset, len(factors) - 1)
    if width * height > MAX_COARSEST_PIXELS:
        what = "the coarsest of its overviews" if factors[1:] else "the image has no overviews, and it"
        raise invalid_source(path, f"{what} has {width:,} x {height:,} pixels, too many to render low zooms; {_ADVICE}")
    if dataset.width * dataset.height > MAX_COARSEST_PIXELS and any(after > MAX_STEP * before for before, after in pairwise(factors)):
        raise invalid_source(path, f"its overviews are more than {MAX_STEP} times as coarse, one as the other; {_ADVICE}")


def _coarsest(path: Path, dataset: Any, overviews: int) -> tuple[int, int]:
    """Width and height of the last overview as it is, which may differ from its factor."""
    if not overviews:
        return dataset.width, dataset.height
    with rasterio.open(path, driver="GTiff", overview_level=overviews - 1) as coarsest:
        return coarsest.width, coarsest.height
