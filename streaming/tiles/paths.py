"""Where files of tilesets may be: in the data folder, the demo's folder, and the folders of `GEOSTREAM_TILE_ROOTS`.

A path is judged after links were followed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from streaming.core.errors import StreamError
from streaming.engine.conf import conf, data_dir

DEMO = Path(__file__).parents[1] / "demo"


def allowed_roots() -> list[Path]:
    """The folders whose files may be sources."""
    configured = [Path(part.strip()) for part in conf.TILE_ROOTS.split(",") if part.strip()]
    return [path.resolve() for path in (data_dir(), DEMO, *configured)]


def imagery_folder(tileset: str) -> Path:
    """The folder of the images painted over a raster tileset; it may not exist.

    `StreamError("invalid_source")` for a bad name.
    """
    if not tileset or tileset[0] == "." or "/" in tileset or "\0" in tileset:
        raise StreamError("invalid_source", f"{tileset[:100]!r} cannot be the name of a tileset")
    return data_dir() / "imagery" / tileset


def resolve_source(text: str) -> Path:
    """The real path of a source. `StreamError("invalid_source")` if it does not exist or is elsewhere.

    A path that is not absolute begins in the data folder. The error does not reveal what exists in other folders.
    """
    name = Path(text).name[:200]
    try:
        real = (data_dir() / text).resolve()
        if not any(real.is_relative_to(root) for root in allowed_roots()):
            raise StreamError(
                "invalid_source", f"{name}: it is neither in the data folder nor in one of GEOSTREAM_TILE_ROOTS; move it or add its folder"
            )
        return real.resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise StreamError("invalid_source", f"{name}: there is no such file or folder") from error


def file_bytes(path: Path) -> int:
    """How large a file is, or all files of a folder together; 0 if nothing is there."""
    if not path.is_dir():
        return _size(path)
    return sum(_size(Path(folder, name)) for folder, _, names in os.walk(path) for name in names)


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
