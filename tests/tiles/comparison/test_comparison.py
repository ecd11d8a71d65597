"""The tiles of every sample are those that GDAL makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from .compare import compare
from .samples import SAMPLES

pytestmark = [pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"), pytest.mark.long_form(only=True)]


@pytest.mark.parametrize("name", SAMPLES)
def test_the_tiles_are_those_of_gdal(tmp_path: Path, name: str) -> None:
    found = compare(SAMPLES[name](tmp_path / "sample.tif"))
    assert max(each.filled for each in found) > 0.05  # something was compared
    assert [each for each in found if not each.small] == []
