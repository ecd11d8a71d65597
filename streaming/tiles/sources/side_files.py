"""Side files of a GeoTIFF: what lies beside an image and belongs to it.

World files (`.tfw`), coordinate reference systems (`.prj`), GDAL's own notes (`.aux.xml`: nodata, statistics, control
points), masks (`.msk`), overviews (`.ovr`) and sensor models (`_RPC.TXT`). An image without its side files may look
different or be nowhere, so they are copied, watched and checked together with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .base import error_text, invalid_source

APPENDED = (".aux.xml", ".msk", ".msk.aux.xml", ".msk.ovr", ".ovr", ".ovr.aux.xml", ".ovr.msk", ".ovr.ovr", ".xml")
"""What follows the whole name of the image: `relief.tif.msk`."""
REPLACING = (".tfw", ".tifw", ".tiffw", ".wld", ".prj", ".tab", ".rpb", "_rpc.txt")
"""What stands in the place of the image's ending: `relief.tfw`."""
MAX_TEXT_BYTES = 16 * 1024 * 1024
"""Texts are read as a whole."""


def side_files(image: Path) -> list[Path]:
    """The side files that exist."""
    found = [path for path in side_paths(image) if path.is_file()]
    return list({path.stat().st_ino: path for path in reversed(found)}.values())  # once where capitals do not matter


def side_paths(image: Path) -> Iterator[Path]:
    """Where side files may be."""
    for ending in APPENDED:
        yield image.with_name(image.name + ending)
    for ending in (*REPLACING, *map(str.upper, REPLACING)):
        yield image.with_name(image.stem + ending)


def side_ending(name: str) -> str | None:
    """The ending by which a file of this name is a side file; None if it is none."""
    endings = sorted((*APPENDED, *REPLACING), key=len, reverse=True)
    return next((ending for ending in endings if name.lower().endswith(ending)), None)


def side_path(image: Path, ending: str) -> Path:
    """Where an image has its side file of this ending."""
    return image.with_name((image.name if ending in APPENDED else image.stem) + ending)


def is_picture(side_file: Path) -> bool:
    """Whether a side file is itself an image: a mask, or overviews."""
    return side_file.suffix.lower() in (".msk", ".ovr")


def check_side_files(image: Path) -> None:
    """Refuse links that lead elsewhere, and texts that are too large.

    `StreamError("invalid_source")`. Pictures are for `geotiff.py` to check.
    """
    folder = image.resolve().parent
    for path in side_files(image):
        try:
            real = path.resolve(strict=True)
            size = real.stat().st_size
        except OSError as error:
            raise invalid_source(path, error_text(path, error)) from error
        if real.parent != folder:
            raise invalid_source(path, "it is a link that leads out of the folder of its image")
        if size > MAX_TEXT_BYTES and not is_picture(path):
            raise invalid_source(path, "it is too large")
