"""Sources of tiles for the tests of the dialect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.dialects.geo.tile_peers import repaint


@pytest.fixture
def red(tmp_path: Path, settings: Any) -> Path:
    """A red raster over Europe, in a folder that sources may be in; changes are not held back."""
    settings.GEOSTREAM_TILE_ROOTS = str(tmp_path)
    settings.GEOSTREAM_TILE_REFRESH_SECONDS = 0.0
    settings.GEOSTREAM_TILE_WATCH = False
    repaint(tmp_path / "red.tif", 255, 0, 0)
    return tmp_path / "red.tif"
