"""Processes in which some modules cannot be imported, as if they were not installed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

TILE_LIBRARIES = (
    *("rasterio", "rio_tiler", "pmtiles", "PIL"),
    *("affine", "cachetools", "color_operations", "morecantile", "numexpr", "pydantic", "pystac"),  # come with rio-tiler
)
"""What `django-geostream[tiles]` installs."""
_SITECUSTOMIZE = """
import sys


class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {modules!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Hidden())
"""


def hiding(modules: Iterable[str], folder: Path) -> dict[str, str]:
    """Environment variables of a process that cannot import these modules; a file for it is written to the folder."""
    (folder / "sitecustomize.py").write_text(_SITECUSTOMIZE.format(modules=set(modules)))
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))}
